"""Clients of the venues as they are published, on the simulated exchange: one environment each, a line per call.

    python benchmarks/stock_clients.py [CLIENT ...] [--python PATH] [--keep DIR]

Nothing but base URLs is changed. Each client is installed into a virtual environment of its own, which takes minutes,
and for nautilus_trader a gigabyte; cryptofeed 3 and nautilus_trader's Deribit adapter need Python 3.13. Those that
refuse a websocket without TLS get the exchange with a certificate made by `openssl`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
TIMEOUT_S = 300.0
_RUN = """
import importlib, json, sys

def log(name, got):
    print(name, json.dumps(got, default=str)[:160], flush=True)

importlib.import_module(sys.argv[1]).run(json.loads(sys.argv[2]), log)
"""


@dataclass(frozen=True)
class StockClient:
    """A client: its package, the script that runs it, and whether it insists on TLS."""

    package: str
    script: str
    tls: bool = False


CLIENTS = {
    "ccxt": StockClient("ccxt", "client_ccxt"),
    "cryptofeed": StockClient("cryptofeed>=3", "client_cryptofeed", tls=True),
    "nautilus_trader": StockClient("nautilus_trader>=1.230", "client_nautilus_trader"),
    "python-binance": StockClient("python-binance", "client_python_binance"),
    "python-okx": StockClient("python-okx", "client_python_okx", tls=True),
}


@contextlib.contextmanager
def simulated_exchange(certificate: Path | None = None) -> Iterator[str]:
    """The exchange in a process of its own; its addresses as JSON."""
    command = [sys.executable, "-m", "dfmon", "sim"]
    command += ["--certificate", str(certificate)] if certificate else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline()
        finally:
            process.terminate()


def make_certificate(folder: Path) -> Path:
    """A certificate of the loopback address that signs itself, with its key in the same file."""
    path = folder / "certificate.pem"
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", names, "-keyout", str(folder / "key.pem"), "-out", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (folder / "key.pem").read_bytes())
    return path


def install(client: StockClient, folder: Path, python: str) -> Path:
    """The interpreter of an environment with the client, made unless it is there."""
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(interpreter), "-m", "pip", "install", "-q", client.package], check=True)
    return interpreter


def run_client(name: str, interpreter: Path, addresses: str, certificate: Path | None, scratch: Path) -> bool:
    """Runs one client's calls in the folder `scratch`, for what it writes; True where none failed."""
    print(f"== {name}", flush=True)
    command = [str(interpreter), "-c", _RUN, CLIENTS[name].script, addresses]
    trust = {"SSL_CERT_FILE": str(certificate)} if certificate else {}
    environment = {**os.environ, "PYTHONPATH": str(HERE), **trust}
    done = subprocess.run(command, env=environment, cwd=scratch, timeout=TIMEOUT_S, check=False)
    print(f"== {name}: {'all calls answered' if done.returncode == 0 else 'FAILED'}", flush=True)
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=f"of {', '.join(CLIENTS)} (default: all)")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the environments")
    parser.add_argument("--keep", type=Path, help="where environments are made and kept (default: a temporary folder)")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = (args.keep or scratch).absolute()
        certificate = make_certificate(scratch)
        failed = []
        for name in args.clients or CLIENTS:
            client = CLIENTS[name]
            try:
                interpreter = install(client, folder / name, args.python)
            except subprocess.CalledProcessError:
                print(f"== {name}: {client.package} cannot be installed for {args.python}", flush=True)
                failed.append(name)
                continue
            with simulated_exchange(certificate if client.tls else None) as addresses:
                if not run_client(name, interpreter, addresses, certificate if client.tls else None, scratch):
                    failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "no client failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
