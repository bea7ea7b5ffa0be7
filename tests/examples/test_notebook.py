# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""The notebook, run by a real kernel; some cells of it twice, as people do."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from aiocake.sandbox import Sandbox, serve


# What the kernel's client does with sockets and event loops is its own.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_it_runs_and_so_do_its_cells_again(examples, monkeypatch) -> None:
    with serve(Sandbox(invoices=60, period="2024-01")) as url:
        monkeypatch.setenv("CAKE_DOMAIN", url)
        monkeypatch.setenv("CAKE_API_KEY", "SANDBOX-KEY")
        notebook = nbformat.read(examples / "month.ipynb", as_version=4)
        runner = NotebookClient(notebook, timeout=60)
        cells = [each for each in enumerate(notebook.cells) if each[1].cell_type == "code"]
        (opens, lists, exports, closes) = cells
        with runner.setup_kernel():
            for index, cell in (opens, opens, lists, lists, exports, closes, closes):
                runner.execute_cell(cell, index)
            with pytest.raises(CellExecutionError) as caught:
                runner.execute_cell(lists[1], lists[0])
            assert caught.value.ename == "ClosedError"
            text = "the client is closed: make a new one, for example by Client.from_env()"
            assert caught.value.evalue == text
            runner.execute_cell(opens[1], opens[0])
            runner.execute_cell(lists[1], lists[0])
        (output,) = lists[1].outputs
        assert "payout" in output.text
        assert int(exports[1].outputs[0].data["text/plain"]) > 0
