"""One way to write an element: attributes and texts are escaped, numbers are short."""

from markupsafe import Markup, escape


def element(name: str, *content: str, **attributes: object) -> Markup:
    """Return an element; ``_`` in a name of an attribute means ``-``, a trailing one is cut off (``class_``).

    Text that is no ``Markup`` is escaped. Attributes that are None are left out.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _short(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{}{}>{}</{}>").format(name, written, Markup("").join(map(escape, content)), name)


def picture(ident: str, title: str, description: str, box: tuple[float, float], *content: str, class_: str) -> Markup:
    """Return an ``svg`` that fills whatever room the page gives it, with a name and a description for who sees none.

    Shapes are stretched with it, so it must hold no text; lines keep their width.
    """
    return element(
        "svg",
        element("title", title, id=f"{ident}-t"),
        element("desc", description, id=f"{ident}-d"),
        *content,
        class_=class_,
        viewBox=f"0 0 {box[0]:g} {box[1]:g}",
        preserveAspectRatio="none",
        role="img",
        aria_labelledby=f"{ident}-t {ident}-d",
    )


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
