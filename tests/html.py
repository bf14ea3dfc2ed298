"""A strict reading of the pages that are written."""

from html.parser import HTMLParser


class Parser(HTMLParser):
    """Refuses elements that are not closed in order, and collects what a page would load."""

    VOID = ("meta", "br", "hr", "img", "link", "input")

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.loads, self.elements = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "srcset", "data"):
                self.loads.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def parsed(page: str) -> Parser:
    """The page, every element of which is closed."""
    parser = Parser()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser
