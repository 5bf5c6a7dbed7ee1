"""The MusicXML schema, from the package that carries it, with the two it imports kept small and local."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

XML = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/XML/1998/namespace">
<xs:attribute name="lang" type="xs:language"/><xs:attribute name="space" type="xs:NCName"/></xs:schema>"""
XLINK = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/1999/xlink">
<xs:attribute name="href" type="xs:anyURI"/><xs:attribute name="type" type="xs:string" fixed="simple"/>
<xs:attribute name="role" type="xs:token"/><xs:attribute name="title" type="xs:token"/>
<xs:attribute name="show" type="xs:token"/><xs:attribute name="actuate" type="xs:token"/></xs:schema>"""


def musicxml_schema() -> Any:
    """An ``lxml.etree.XMLSchema``, or None where the package is not installed."""
    spec = importlib.util.find_spec("partitura")
    if spec is None or spec.origin is None or importlib.util.find_spec("lxml") is None:
        return None
    from lxml import etree

    class Local(etree.Resolver):
        def resolve(self, url: str, public_id: str, context: Any) -> Any:
            if url.endswith("xml.xsd") and not url.endswith("musicxml.xsd"):
                return self.resolve_string(XML, context)
            if url.endswith("xlink.xsd"):
                return self.resolve_string(XLINK, context)
            return None

    parser = etree.XMLParser()
    parser.resolvers.add(Local())
    return etree.XMLSchema(etree.parse(str(Path(spec.origin).parent / "assets" / "musicxml.xsd"), parser))
