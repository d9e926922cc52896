"""Documents that are small files and would make readers work without end."""

import io
import zipfile
import zlib
from pathlib import Path

import pytest

from sdg_core.config.sources import DocumentSources
from sdg_core.pipelines.readers import document_text
from sdg_core.pipelines.readers.base import SourceError
from sdg_core.pipelines.readers.document_text import docx_record
from sdg_core.pipelines.readers.documents import read_document
from sdg_core.seeds.files import LocalFile
from tests.support.documents import pdf
from tests.support.pipelines import Project
from tests.support.requirements import require_module

NAMESPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def docx_file(path: Path, *rows: str) -> Path:
    """A Word document of one table."""
    require_module("docx")
    import docx

    template = io.BytesIO()
    docx.Document().save(template)
    table = f"<w:tbl><w:tblPr/><w:tblGrid/>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"
    body = f"<w:document {NAMESPACE}><w:body>{table}<w:sectPr/></w:body></w:document>"
    with zipfile.ZipFile(template) as source, zipfile.ZipFile(path, "w") as made:
        for name in source.namelist():
            made.writestr(
                name, body if name == "word/document.xml" else source.read(name)
            )
    return path


def cell(text: str = "", properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>"


@pytest.mark.parametrize(
    "row",
    [
        cell("x", '<w:gridSpan w:val="900000000"/>'),
        cell("x", '<w:gridSpan w:val="400"/>') * 3,
        cell("", '<w:gridSpan w:val="900000000"/><w:vMerge/>'),
    ],
    ids=["one", "together", "merged"],
)
def test_cells_that_span_everything(tmp_path: Path, row: str) -> None:
    file = docx_file(tmp_path / "a.docx", cell("y", '<w:vMerge w:val="restart"/>'), row)
    with pytest.raises(SourceError, match="more than 1,000 columns"):
        docx_record(file.read_bytes())


def test_merged_cells_stand_in_every_place(tmp_path: Path) -> None:
    """However many rows a cell goes through: python-docx calls itself for each."""
    top = cell("a") + cell("top", '<w:gridSpan w:val="2"/><w:vMerge w:val="restart"/>')
    below = cell("b") + cell("", '<w:gridSpan w:val="2"/><w:vMerge/>')
    file = docx_file(tmp_path / "a.docx", top, *[below] * 1_500)
    record = docx_record(file.read_bytes())
    assert isinstance(record, dict)
    assert (
        record["content"].splitlines()
        == ["| a | top | top |"] + ["| b | top | top |"] * 1_500
    )


def test_merged_cells_with_tables_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each level multiplies the text of the one below by the places that its cell spans."""
    monkeypatch.setattr(document_text, "MAX_RECORD_BYTES", 1_000_000)
    inner = cell("x", '<w:gridSpan w:val="900"/>')
    for _ in range(1):
        table = f"<w:tbl><w:tblPr/><w:tblGrid/><w:tr>{inner}</w:tr></w:tbl>"
        inner = f'<w:tc><w:tcPr><w:gridSpan w:val="900"/></w:tcPr>{table}<w:p/></w:tc>'
    file = docx_file(tmp_path / "a.docx", inner)
    with pytest.raises(SourceError, match="exceeds the record size limit"):
        docx_record(file.read_bytes())


def test_a_document_that_unpacks_to_too_much_costs_itself(tmp_path: Path) -> None:
    require_module("pypdfium2")
    good = pdf([["The harbour was quiet that morning."]])
    packed = zlib.compress(b"BT /F1 12 Tf 72 720 Td (x) Tj ET " * 6_000_000, level=1)
    start, end = good.index(b"<< /Length"), good.index(b"endstream")
    head = b"<< /Filter /FlateDecode /Length %d >>\nstream\n" % len(packed)
    (tmp_path / "bomb.pdf").write_bytes(
        good[:start] + head + packed + b"\n" + good[end:]
    )
    (tmp_path / "good.pdf").write_bytes(good)
    project = Project(
        tmp_path, [], {"reader": "pdf", "path": "*.pdf", "memory_mib": 100}
    ).write()
    project.generate()
    assert [row["content"] for row in project.rows()] == [
        "The harbour was quiet that morning."
    ]
    (failed,) = [
        failed
        for footer in project.footers()
        for entry in footer.sources
        for failed in entry.failed
    ]
    assert failed.message.startswith("bomb.pdf was stopped: it exceeded its memory")
    assert "raise sources.timeout or sources.memory_mib" in failed.message


def test_a_document_without_end_is_given_up(tmp_path: Path) -> None:
    require_module("pypdfium2")
    pages = pdf([["x"]]).replace(
        b"/Kids [4 0 R]", b"/Kids [%s]" % (b"4 0 R " * 1_000_000)
    )
    (tmp_path / "pages.pdf").write_bytes(pages.replace(b"/Count 1", b"/Count 1000000"))
    config = DocumentSources(reader="pdf", path="pages.pdf", timeout=0.5)
    with pytest.raises(SourceError, match="was stopped: it took too long"):
        list(read_document(LocalFile(tmp_path / "pages.pdf"), config))
