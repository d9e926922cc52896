"""PDF and Word files for tests, made on the spot."""

import io
from collections.abc import Sequence


def pdf(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF with these lines on its pages; no line, no text."""
    contents = [_page_content(lines) for lines in pages]
    kids = b" ".join(b"%d 0 R" % (4 + 2 * at) for at in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [" + kids + b"] /Count %d >>" % len(pages),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for at, content in enumerate(contents):
        resources = b"/MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >>"
        objects.append(
            b"<< /Type /Page /Parent 2 0 R %s /Contents %d 0 R >>"
            % (resources, 5 + 2 * at)
        )
        objects.append(
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)
        )
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    offsets = []
    for number, item in enumerate(objects, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, item))
    start = out.tell()
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out.write(b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, entries))
    out.write(
        b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF"
        % (len(objects) + 1, start)
    )
    return out.getvalue()


def _page_content(lines: Sequence[str]) -> bytes:
    shown = b" ".join(b"(%s) Tj T*" % line.encode() for line in lines)
    return b"BT /F1 12 Tf 14 TL 72 720 Td " + shown + b" ET"


def docx(
    *,
    heading: str,
    paragraphs: Sequence[str],
    table: Sequence[Sequence[str]] = (),
    title: str = "",
) -> bytes:
    """A Word document."""
    import docx as library

    document = library.Document()
    document.core_properties.title = title
    document.add_heading(heading, level=2)
    for text in paragraphs:
        document.add_paragraph(text)
    if table:
        made = document.add_table(rows=len(table), cols=len(table[0]))
        for row, values in zip(made.rows, table, strict=True):
            for cell, value in zip(row.cells, values, strict=True):
                cell.text = value
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def web_page(*paragraphs: str, title: str = "A page") -> str:
    """A page with navigation around its text."""
    body = "".join(f"<p>{text}</p>" for text in paragraphs)
    head = f"<head><meta charset='utf-8'><title>{title}</title></head>"
    around = "<nav><a href='/'>Home</a> <a href='/about'>About us</a></nav>"
    return f"<html>{head}<body>{around}<article><h1>{title}</h1>{body}</article><footer>Imprint</footer></body></html>"
