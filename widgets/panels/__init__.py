"""The pieces of the page: a Python file and a TypeScript file (`widgets/js/src/panels`) of one name each."""
