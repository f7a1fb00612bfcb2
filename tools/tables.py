"""Tables in Markdown."""


def row(*cells):
    return f"| {' | '.join(map(str, cells))} |"


def table(head, rows, numbers=()):
    """A table; the columns of these names stand at the right, as numbers do."""
    marks = ["--:" if name in numbers else "---" for name in head]
    return "\n".join(row(*cells) for cells in (head, marks, *rows))
