"""The baseline: a bare Flask application that returns prepared bodies, named by BENCH_BODIES."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, Response

app = Flask(__name__)
bodies = {path.name: path.read_bytes() for path in Path(os.environ["BENCH_BODIES"]).iterdir()}


@app.get("/<name>")
def body(name: str) -> Response:
    return Response(bodies[name], mimetype="application/json")
