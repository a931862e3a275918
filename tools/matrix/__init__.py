"""The test suite in every environment that is at hand: other versions, other processors, other shells.

`rows` says which there are, `packages` makes their virtual environments, `suite` runs the tests in one of them, and
`report` writes what came of it into docs/matrix.md.
"""
