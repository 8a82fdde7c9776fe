"""Agents that are tools of an MCP server. The SDK is imported when one is called, by `session` and `wire`."""

from stepladder.drivers.mcp.agent import McpAgent, ToolError, mcp_agent

__all__ = ["McpAgent", "ToolError", "mcp_agent"]
