"""Templates: names, variables, the sandbox, and one clear error for everything that goes wrong."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.errors import DefinitionError, InputError
from stepladder.prompts import (
    Template,
    agent_prompt,
    find_template,
    parse_name,
    render,
    render_parts,
    shipped,
    variables_of,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [("plan_query@1", ("plan_query", 1)), ("supervisor@12", ("supervisor", 12)), ("a-b@3", ("a-b", 3))],
)
def test_a_name_has_a_version(text: str, found: tuple[str, int]) -> None:
    assert parse_name(text) == found


@pytest.mark.parametrize(
    "text", ["plan", "plan@", "plan@0", "plan@-1", "plan@1.0", "@1", "../x@1", "a b@1", "p@1\n", "p@٣", 7, None]
)
def test_anything_else_is_no_name(text: object) -> None:
    with pytest.raises(DefinitionError, match=r"expected name@version, such as plan_query@1"):
        parse_name(text)


@pytest.mark.parametrize(
    ("text", "variables", "found"),
    [
        ("{{ a }}", {"a": "{{ 7*7 }}"}, "{{ 7*7 }}"),
        ("{{ a }}", {"a": '<b> & "c"'}, '<b> & "c"'),
        (
            "{{ a }}|{{ b }}|{{ c }}|{{ d }}",
            {"a": None, "b": True, "c": 1.5, "d": {"x": ["ü"]}},
            'null|true|1.5|{"x": ["ü"]}',
        ),
        ("{% for x in a %}{{ x }};{% endfor %}", {"a": [1, "two"]}, "1;two;"),
        ("{{ a | data('rows') }}", {"a": "</data>"}, '<data name="rows">\n"\\u003c/data>"\n</data>'),
        ("{{ a | tojson }}", {"a": "<"}, '"\\u003c"'),
    ],
)
def test_values_stand_in_the_text(text: str, variables: dict[str, object], found: str) -> None:
    assert render(text, variables) == found


@given(st.text())
def test_a_value_is_never_a_template(value: str) -> None:
    assert render("[{{ value }}]", {"value": value}) == f"[{value}]"


BAD_TEMPLATES = [
    ("one\n{% if %}", 2, "Expected an expression"),
    ("one\ntwo {{ a", 2, "unexpected end"),
    ("{{ a | nofilter }}", 1, "nofilter"),
    ("\n{% include 'secrets' %}", 2, "`include`"),
    ("{% extends 'base' %}", 1, "`extends`"),
    ("{% import 'os' as os %}", 1, "`import`"),
    ("{% from 'os' import path %}", 1, "`fromimport`"),
    ("\n\n{{ a.__class__ }}", 3, "the sandbox refuses"),
    ("{{ ''.__class__.__mro__[1].__subclasses__() }}", 1, "the sandbox refuses"),
    ("{{ a | attr('__class__') }}", 1, "the sandbox refuses"),
    ("{{ '{0.__class__}'.format(a) }}", 1, "the sandbox refuses"),
    ("{{ '%999999999d' % 1 }}", 1, "the sandbox refuses"),
    ("{{ 'x' * 999999999 }}", 1, "the sandbox refuses"),
    ("{{ [1] * 999999999 }}", 1, "the sandbox refuses"),
    ("{{ 9 ** 9 ** 9 }}", 1, "the sandbox refuses"),
    ("{{ 'x'.ljust(999999999) }}", 1, "the sandbox refuses"),
    ("{{ rows.append(1) }}", 1, "the sandbox refuses"),
    ("{{ rows.clear() }}", 1, "the sandbox refuses"),
    ("{{ self._TemplateReference__context }}", 1, "the sandbox refuses"),
]


@pytest.mark.parametrize(("text", "line", "found"), BAD_TEMPLATES, ids=[text for text, _, _ in BAD_TEMPLATES])
def test_a_bad_template_is_refused_with_its_line(text: str, line: int, found: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        render(text, {"a": "x", "rows": [1]}, "plan@2")
    (problem,) = caught.value.problems
    assert (problem.where, problem.line) == ("prompt plan@2", line)
    assert found in problem.found
    assert problem.expected


BAD_VALUES = [
    ("one\n{{ missing }}", "line 2", "'missing' is undefined"),
    ("{{ a.b.c }}", "line 1", "b"),
    ("{% for x in a %}\n{{ x.y }}\n{% endfor %}", "line 2", "y"),
    ("{{ missing | data('x') }}", "line 1", "'missing' is undefined"),
    ("{% if missing %}{% endif %}", "line 1", "'missing' is undefined"),
    ("{{ lipsum() }}", "line 1", "'lipsum' is undefined"),
    ("{{ 1 / 0 }}", "line 1", "ZeroDivisionError"),
    ("{{ a + 1 }}", "line 1", "TypeError"),
    ("{% for i in range(99999) %}{{ big }}{% endfor %}", "", "2,000,000 characters"),
]


@pytest.mark.parametrize(("text", "where", "found"), BAD_VALUES, ids=[text for text, _, _ in BAD_VALUES])
def test_a_value_that_does_not_fit_is_said(text: str, where: str, found: str) -> None:
    with pytest.raises(InputError) as caught:
        render(text, {"a": "x", "big": "x" * 1000}, "plan@2")
    assert caught.value.what == "prompt plan@2"
    assert caught.value.where == where
    assert found in caught.value.found


def test_a_missing_variable_is_told_with_those_there_are() -> None:
    with pytest.raises(InputError, match="there are: error, question"):
        render("{{ quesion }}", {"question": "?", "error": None})


@given(st.text(alphabet="{}%#-+ a.|'()[]\n_1", max_size=40))
def test_no_template_raises_anything_else(text: str) -> None:
    with suppress(DefinitionError, InputError):
        render(text, {"a": {"b": [1]}})


def test_the_variables_of_a_template() -> None:
    text = (
        "{{ question }}{% for row in rows %}{{ row.x }}{{ loop.index }}{% endfor %}{% set n = 1 %}{{ n }}{{ range(2) }}"
    )
    assert variables_of(text) == ("question", "rows")
    assert Template("plan", 2, text).variables == ("question", "rows")
    assert Template("plan", 2, text).id == "plan@2"
    with pytest.raises(DefinitionError, match="prompt plan@2"):
        _ = Template("plan", 2, "{{").variables


def test_a_template_may_have_a_system_part() -> None:
    text = "{% block system %}\nBe {{ how }}.\n{% endblock %}\n{% block prompt %}\nDo {{ what }}.\n{% endblock %}"
    assert render_parts(text, {"how": "brief", "what": "it"}) == ("Be brief.", "Do it.")
    assert render_parts("Do {{ what }}.", {"what": "it"}) == ("", "Do it.")
    with pytest.raises(DefinitionError, match="a block `prompt` beside it"):
        render_parts("{% block system %}x{% endblock %}", {})


def test_templates_are_found_by_name() -> None:
    assert find_template("supervisor@1", {}).text == shipped()["supervisor@1"]
    assert find_template("supervisor@1", {"supervisor@1": "mine"}).text == "mine"
    with pytest.raises(DefinitionError, match=r"found 'plan@2'; expected one of: .*plan@1.*supervisor@1"):
        find_template("plan@2", {"plan@1": ""})


def test_an_agents_prompt_has_its_arguments() -> None:
    rendered = agent_prompt(
        "Plan {{ question }} for {{ call.step }}. {{ rows | data('rows') }}",
        {"question": "{{ secret }} </data>", "rows": ["</data>"]},
        {"step": "planning"},
        name="plan_query@1",
    )
    assert (
        rendered.prompt == 'Plan {{ secret }} </data> for planning. <data name="rows">\n[\n "\\u003c/data>"\n]\n</data>'
    )
    assert (rendered.system, rendered.name) == ("", "plan_query@1")
    assert rendered.digest != agent_prompt("Plan", {}).digest


def test_importing_prompts_does_not_import_jinja() -> None:
    code = "import sys, stepladder.prompts; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
