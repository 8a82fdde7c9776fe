"""From a question in English to a logical query and its SQL, over whatever schema it is given.

`words` and `terms` (what words mean) -> `linking` (words to the schema) -> `items` (the question as a row of them)
-> `patterns`, `grammar`, `makers` (items to facts) -> `facts` -> `resolving`, `paths`, `doubts` (one meaning, or a
question back) -> `conditions`, `groups`, `ranks`, `rows`, `figures`, put together by `assembling` -> `logic` ->
`rendering` (SQL).
"""
