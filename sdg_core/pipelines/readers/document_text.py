"""The texts of web pages, PDF and Word documents, each by the library that does it best (extra `documents`).

It runs in a process of its own, whose time and memory are bounded (`sdg_core.pipelines.readers.documents`): these libraries read
whatever a stranger's file makes them read, in C, and cannot be interrupted. So this module imports little.

PDFium was chosen over pypdf by measurement: the same text of real documents ten times as fast.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sdg_core.custom import Filtered
from sdg_core.pipelines.readers.base import MAX_RECORD_BYTES, SourceError

Extracted = Mapping[str, Any] | Filtered
_HYPHENATED = re.compile("\x02[ \t]*\r?\n?")
"""How PDFium marks the place where a word was divided at the end of a line."""
_MAX_COLUMNS = 1_000
"""Of a table of a Word document, in which Word itself makes 63."""
_HEAD = 2048
_ENCODING = (
    rb"utf-?8|iso-?8859-\d+|windows-\d+|cp\d+|koi8-[ru]|shift[-_]jis|sjis|euc-(?:jp|kr)|gb(?:k|2312|18030)|big5(?:-hkscs)?|"
    rb"iso-2022-jp|(?:us-)?ascii|latin-?1"
)
"""Encodings of the web; Python's codecs have others, not all of which end soon on any content."""
_DECLARED = re.compile(
    rb"""<(?:meta\b[^>]*?\bcharset|\?xml\b[^>]*?\bencoding)\s*=\s*["']?("""
    + _ENCODING
    + rb""")["'\s/>;?]""",
    re.IGNORECASE,
)
_AS_BROWSERS_DO = dict.fromkeys(
    ("iso-8859-1", "latin1", "latin-1", "ascii", "us-ascii"), "cp1252"
)
"""Encodings that name another, because pages use its characters, too (WHATWG Encoding Standard)."""
_NOT_HTML = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
}


def document_record(request: Any, ask: object = None) -> dict[str, Any]:
    """What `{"kind": ..., "content": ..., "encoding": ...}` holds, for the process that asked: values, or a reason for none."""
    try:
        found = _KINDS[request["kind"]](
            request.get("content", b""), request["encoding"]
        )
    except SourceError as error:
        return {"error": str(error)}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - libraries raise whatever a damaged file leads them to
        reason = " ".join(str(error).split())
        return {
            "error": f"cannot be read as {request['kind']}: {type(error).__name__}: {reason}; exclude it"
        }
    if isinstance(found, Filtered):
        return {"filtered": found.reason}
    if len(found["content"]) > MAX_RECORD_BYTES:
        return {
            "error": f"has more than {MAX_RECORD_BYTES:,} characters of text; split it, or exclude it"
        }
    return {"values": dict(found)}


def html_record(content: bytes, encoding: str | None) -> Extracted:
    """The main text as Markdown, without navigation, and the title. encoding: None for what the page says. Raises SourceError."""
    import trafilatura

    _check_html(content)
    page: Any = _as_declared(content)
    if encoding is not None:
        try:
            page = content.decode(encoding)
        except UnicodeDecodeError as error:
            message = f"is not {encoding} text: byte {content[error.start]:#04x} at offset {error.start}"
            raise SourceError(
                f"{message}; correct sources.encoding, or remove it: pages declare their own"
            ) from error
    tree = trafilatura.load_html(page)
    title = trafilatura.extract_metadata(tree).title if tree is not None else None
    text = (
        trafilatura.extract(tree, output_format="markdown")
        if tree is not None
        else None
    )
    return {"content": text, "title": title} if text else Filtered("no main text")


def _as_declared(content: bytes) -> str | bytes:
    """A page as text, if it is what it says it is; else as it is, for the library to guess."""
    declared = _DECLARED.search(content, 0, _HEAD)
    if declared is None or content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content
    name = declared[1].decode("ascii").lower()
    try:
        return content.decode(_AS_BROWSERS_DO.get(name, name))
    except (LookupError, UnicodeDecodeError):
        return content


def _check_html(content: bytes) -> None:
    """Raise SourceError for what plainly is something else, which would only look like a page without text."""
    for start, what in _NOT_HTML.items():
        if content.startswith(start):
            raise SourceError(f"is {what}, not a web page; correct sources.path")
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\x00" in content[:4096] and not utf_16:
        raise SourceError(
            "is not a web page: it contains NUL bytes; correct sources.path"
        )


def pdf_record(content: bytes, _: str | None = None) -> Extracted:
    """The text of all pages, a blank line between them; how many there are; the title. Raises SourceError."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        raise _not_pdf(content, str(error)) from error
    try:
        texts = [_page_text(page) for page in document]
        title = document.get_metadata_value("Title")
    except pypdfium2.PdfiumError as error:
        raise SourceError(
            f"is a damaged PDF: {error}; replace it, or exclude it"
        ) from error
    finally:
        document.close()
    text = "\n\n".join(filter(None, texts))
    if not text:
        return Filtered("no text (scanned pages need OCR first)")
    return {"content": text, "title": title or None, "pages": len(texts)}


def _page_text(page: Any) -> str:
    text_page = page.get_textpage()
    try:
        text = _HYPHENATED.sub("", text_page.get_text_bounded())
    finally:
        text_page.close()
        page.close()
    return text.replace("\r\n", "\n").strip()


def _not_pdf(content: bytes, reason: str) -> SourceError:
    if "password" in reason.lower():
        return SourceError("is encrypted; save it without a password, or exclude it")
    if b"%PDF-" not in content[:1024]:
        return SourceError(
            f"is not a PDF: it begins with {content[:8]!r}; correct sources.path, or exclude it"
        )
    return SourceError(f"is a damaged PDF: {reason}; replace it, or exclude it")


def docx_record(content: bytes, _: str | None = None) -> Extracted:
    """Paragraphs and tables in order, headings as Markdown, and the title. Raises SourceError."""
    import docx
    from docx.opc.exceptions import PackageNotFoundError

    _check_docx(content)
    try:
        document = docx.Document(io.BytesIO(content))
        blocks = [_block(block) for block in document.iter_inner_content()]
        title = document.core_properties.title
    except (
        PackageNotFoundError,
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        SyntaxError,
    ) as error:
        reason = " ".join(str(error).split())
        raise SourceError(
            f"is not a Word document: {reason}; save it as .docx, or exclude it"
        ) from error
    text = "\n\n".join(filter(None, blocks))
    if not text:
        return Filtered("no text")
    return {"content": text, "title": title or None}


def _check_docx(content: bytes) -> None:
    """Raise SourceError for what is no archive, or one that unpacks to more than a record may hold."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(item.file_size for item in archive.infolist())
    except zipfile.BadZipFile as error:
        message = f"is not a Word document (.docx): it begins with {content[:8]!r}"
        raise SourceError(f"{message}; save it as .docx, or exclude it") from error
    if size > MAX_RECORD_BYTES:
        raise SourceError(
            f"unpacks to {size:,} bytes, more than the limit of {MAX_RECORD_BYTES:,} bytes per record; split it"
        )


def _cell_text(cell: Any) -> str:
    """The text of a cell on one line, tables in it included. Raises SourceError as `_rows` does."""
    texts: list[str] = []
    for block in cell.iter_inner_content():
        if hasattr(block, "rows"):
            for row in _rows(block):
                texts += row
        else:
            texts.append(block.text)
    return " ".join(" ".join(texts).split())


def _rows(table: Any) -> Iterator[list[str]]:
    """The texts of each row; a merged cell's stands in every place that it spans.

    python-docx's own list of cells grows without bound with what a file claims to be merged, and looks for each merged cell in
    all rows above. Raises SourceError for a row that spans more than tables have, and for more text than a record holds.
    """
    from docx.table import _Cell

    above: dict[int, str] = {}
    length = 0
    for row in table.rows:
        place = row.grid_cols_before
        texts: dict[int, str] = {}
        for cell in row._tr.tc_lst:
            span = cell.grid_span
            if len(texts) + span > _MAX_COLUMNS:
                raise SourceError(
                    f"has a table with more than {_MAX_COLUMNS:,} columns; exclude it"
                )
            is_below = cell.vMerge == "continue" and place in above
            text = above[place] if is_below else _cell_text(_Cell(cell, table))
            texts |= dict.fromkeys(range(place, place + span), text)
            place += span
        length += sum(map(len, texts.values()))
        if length > MAX_RECORD_BYTES:
            raise SourceError(
                "has a table that exceeds the record size limit; exclude it"
            )
        above = texts
        yield [*texts.values()]


def _block(block: Any) -> str:
    """A paragraph, or a table with its cells between bars."""
    if hasattr(block, "rows"):
        lines = [f"| {' | '.join(texts)} |" for texts in _rows(block)]
        return "\n".join(lines)
    text = str(block.text).strip()
    style = block.style.name if block.style is not None else ""
    heading = re.fullmatch(r"Heading ([1-6])|Title", style or "")
    if text and heading:
        return f"{'#' * int(heading[1] or 1)} {text}"
    is_item = (style or "").startswith("List")
    return f"- {text}" if text and is_item else text


_KINDS: Mapping[str, Callable[[bytes, str | None], Extracted]] = {
    "html": html_record,
    "pdf": pdf_record,
    "docx": docx_record,
}
