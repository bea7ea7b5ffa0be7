"""An element of a small response of XML, by its local name.

CAKE's namespaces and the roots of its responses are irregular, so elements go by local names. What
parses XML is in other files: most programs never load it.
"""

import attrs


@attrs.frozen(weakref_slot=False)
class XmlElement:
    """An element of a response.

    Attributes:
        name: Its local name.
        text: Its text; empty when it is empty, None when it is nil or holds elements.
        nil: Whether it says ``xsi:nil="true"``.
        children: The elements in it.
        repaired: How many characters of the text were spelt as halves of a surrogate pair.
    """

    name: str
    text: str | None = None
    nil: bool = False
    children: "tuple[XmlElement, ...]" = ()
    repaired: int = attrs.field(default=0, repr=False)

    def find(self, name: str) -> "XmlElement | None":
        """Return the first child of a name."""
        return next((child for child in self.children if child.name == name), None)
