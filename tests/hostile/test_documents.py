"""Documents that are small files and would make readers work without end."""

import io
import zipfile
from pathlib import Path

import pytest

from sdg_core.pipelines.readers import documents
from sdg_core.pipelines.readers.base import SourceError
from sdg_core.pipelines.readers.documents import read_docx
from sdg_core.seeds.files import LocalFile
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
            made.writestr(name, body if name == "word/document.xml" else source.read(name))
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
    file = LocalFile(docx_file(tmp_path / "a.docx", cell("y", '<w:vMerge w:val="restart"/>'), row))
    with pytest.raises(SourceError, match="more than 1,000 columns"):
        list(read_docx(file, None))


def test_merged_cells_stand_in_every_place(tmp_path: Path) -> None:
    """However many rows a cell goes through: python-docx calls itself for each."""
    top = cell("a") + cell("top", '<w:gridSpan w:val="2"/><w:vMerge w:val="restart"/>')
    below = cell("b") + cell("", '<w:gridSpan w:val="2"/><w:vMerge/>')
    file = LocalFile(docx_file(tmp_path / "a.docx", top, *[below] * 1_500))
    (record,) = list(read_docx(file, None))
    assert isinstance(record, dict)
    assert record["content"].splitlines() == ["| a | top | top |"] + ["| b | top | top |"] * 1_500


def test_merged_cells_with_tables_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each level multiplies the text of the one below by the places that its cell spans."""
    monkeypatch.setattr(documents, "MAX_RECORD_BYTES", 1_000_000)
    inner = cell("x", '<w:gridSpan w:val="900"/>')
    for _ in range(1):
        table = f"<w:tbl><w:tblPr/><w:tblGrid/><w:tr>{inner}</w:tr></w:tbl>"
        inner = f'<w:tc><w:tcPr><w:gridSpan w:val="900"/></w:tcPr>{table}<w:p/></w:tc>'
    file = LocalFile(docx_file(tmp_path / "a.docx", inner))
    with pytest.raises(SourceError, match="longer than a record"):
        list(read_docx(file, None))
