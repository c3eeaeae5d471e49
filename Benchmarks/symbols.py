"""The public calls of the library, from the symbol graphs of its modules."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile

from servers import Trouble

# The types of data that a call takes or returns.
DATA = re.compile(
    r"\b(UInt8|RawSpan|MutableRawSpan|OutputRawSpan|Span|MutableSpan|OutputSpan|UnsafeRawBufferPointer"
    r"|UnsafeMutableRawBufferPointer|String|Substring|Sequence|Collection|ByteQueue|StreamChunk)\b")
KINDS = re.compile(r"^swift\.(func|func\.op|method|type\.method|init|subscript|type\.subscript|property|type\.property)$")
GRAPH_SECONDS = 300


def _tool(name):
    """A program of the toolchain that contains `swift`."""
    path = shutil.which(name) or pathlib.Path(shutil.which("swift") or ".").resolve().parent / name
    if not pathlib.Path(path).exists():
        raise Trouble(f"there is no '{name}' beside 'swift'")
    return str(path)


def _run(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=GRAPH_SECONDS).stdout
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or error
        raise Trouble(f"{command[0]} failed: {detail}") from None


def graphs(folder, modules):
    """The symbols of each module that was built in `folder`; declarations that AsyncIO re-exports belong to it."""
    target = json.loads(_run(["swiftc", "-print-target-info"]))["target"]["triple"]
    flags = ["-I", str(folder / "Modules")]
    maps = [*folder.glob("CAsyncIO.build/**/module.modulemap"),
            *folder.resolve().parents[1].glob("checkouts/swift-system/Sources/CSystem/include/module.modulemap")]
    for module_map in maps:
        flags += ["-Xcc", f"-fmodule-map-file={module_map}"]
    with tempfile.TemporaryDirectory() as output:
        for module in modules:
            own = ["-experimental-allowed-reexported-modules=AsyncIOSystem"] if module == "AsyncIO" else []
            _run([_tool("swift-symbolgraph-extract"), "-module-name", module, "-target", target, *flags, *own,
                  "-minimum-access-level", "public", "-skip-synthesized-members", "-output-dir", output])
        for file in sorted(pathlib.Path(output).glob("*.symbols.json")):
            yield from json.loads(file.read_text())["symbols"]


def _text(fragments):
    return re.sub(r"\s+", " ", "".join(fragment["spelling"] for fragment in fragments)).strip()


def _type(fragments):
    """The type of a parameter: what follows its name."""
    return _text(fragments).partition(": ")[2]


def call(symbol, ignored):
    """The name of a call, with the types of its parameters, and the types that data may be of.

    Parameters with a label of `ignored` do not count.
    """
    path = ".".join(symbol["pathComponents"])
    match = re.match(r"^(.*)\((.*)\)$", path)
    if not match:
        return path, _type(symbol["declarationFragments"])
    signature = symbol.get("functionSignature", {})
    labels = match.group(2).split(":")[:-1]
    types = [_type(parameter["declarationFragments"]) for parameter in signature.get("parameters", [])]
    if len(types) != len(labels):
        raise Trouble(f"the parameters of {path} cannot be read from the symbol graph")
    data = [kind for label, kind in zip(labels, types) if label not in ignored]
    # The call site is not shown, because each call has it.
    shown = [f"{label}: {kind}" for label, kind in zip(labels, types) if label not in ("fileID", "line")]
    return f"{match.group(1)}({', '.join(shown)})", " ".join([*data, _text(signature.get("returns", []))])


def calls_with_data(folder, modules, ignored):
    """The names of all public calls that take or return bytes, strings, spans, or sequences."""
    calls = set()
    for symbol in graphs(folder, modules):
        if KINDS.match(symbol["kind"]["identifier"]):
            name, types = call(symbol, ignored)
            if DATA.search(types):
                calls.add(name)
    return calls
