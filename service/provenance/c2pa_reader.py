"""Credentials: a file's Content Credentials (C2PA), read by the library of the Content Authenticity Initiative.

They run in a process of their own: a library of native code that meets a hostile file may end the process that it runs
in. Nothing is fetched from anywhere: a manifest that lies elsewhere, revocation and time are not looked up.
"""

import io
import json
import os
import sys
from importlib.util import find_spec
from typing import Any, Final

from service.sandbox.confinement import confine
from service.sandbox.messages import read_message, write_message

# Of what can carry them.
MIMES: Final = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "MP4": "video/mp4",
    "MOV": "video/quicktime",
}
# IPTC's digital source types that mean a generative model (C2PA 2.2, 18.15.4).
_GENERATED: Final = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic")
_MEMORY: Final = 1024**3
# Of all pictures that one process reads; then the next one does.
_PROCESSOR_S: Final = 3600
_LONGEST: Final = 120
_MOST: Final = 16


def available() -> bool:
    """Return whether the extra ``provenance`` is installed."""
    return find_spec("c2pa") is not None


def main() -> None:
    """Read pictures from standard input, one message each, and write what their credentials say to standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the library prints is not an answer
    first, anchors = read_message(sys.stdin.buffer)
    context = _context(anchors.decode() if first["trusts"] else None)
    confine(_MEMORY, _PROCESSOR_S)
    while True:
        try:
            asked, payload = read_message(sys.stdin.buffer)
        except EOFError:
            return
        write_message(answers, read(payload, asked["format"], context))


def _context(anchors: str | None) -> Any:
    """Return how manifests are checked: nothing is fetched, and only these certificates are trusted."""
    import c2pa

    verify = {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": anchors is not None}
    return c2pa.Context.from_dict({"verify": verify, **({"trust": {"trust_anchors": anchors}} if anchors else {})})


def read(payload: bytes, file_format: str, context: Any) -> dict[str, Any]:
    """Return what the Content Credentials of a picture say.

    Args:
        payload: of the picture.
        file_format: of :data:`MIMES`.
        context: how they are checked.
    """
    import c2pa

    try:
        with c2pa.Reader(MIMES[file_format], io.BytesIO(payload), context=context) as reader:
            return summary(json.loads(reader.json()))
    except (c2pa.C2paError, ValueError, MemoryError, AttributeError, TypeError) as error:
        if "ManifestNotFound" in type(error).__name__ + str(error):
            return {"present": False, "checked": True}
        return {"present": True, "checked": True, "valid": False, "problems": ["unreadable"]}


def summary(store: dict[str, Any]) -> dict[str, Any]:
    """Return what a manifest store says, as the library has read and checked it.

    Args:
        store: its JSON.
    """
    state = store.get("validation_state")
    manifests = store.get("manifests", {})
    active = manifests.get(store.get("active_manifest"), {})
    signature = active.get("signature_info", {})
    problems = [str(item.get("code", "")) for item in store.get("validation_status", ())]
    generators = [str(item.get("name", "")) for item in active.get("claim_generator_info", ()) if item.get("name")]
    sources = sorted({source for manifest in manifests.values() for source in _sources(manifest)})
    return {
        "present": True,
        "checked": True,
        "valid": state in ("Valid", "Trusted"),
        "trusted": state == "Trusted",
        "issuer": _line(signature.get("issuer")),
        "signed_at": _line(signature.get("time")),
        "generator": _line(" ".join(generators)),
        "declares_ai": any(source in _GENERATED for source in sources),
        "digital_source_types": [source[:_LONGEST] for source in sources[:_MOST]],
        "problems": [_line(code) for code in dict.fromkeys(problems) if code != "signingCredential.untrusted"][:_MOST],
    }


def _sources(manifest: dict[str, Any]) -> list[str]:
    """Return the digital source types that a manifest's actions declare, by the last part of their address."""
    actions = [
        action
        for assertion in manifest.get("assertions", ())
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in assertion.get("data", {}).get("actions", ())
    ]
    return [
        str(action["digitalSourceType"]).rstrip("/").rsplit("/", 1)[-1]
        for action in actions
        if "digitalSourceType" in action
    ]


def _line(text: object) -> str | None:
    if not text:
        return None
    return "".join(character for character in str(text) if character.isprintable())[:_LONGEST]


if __name__ == "__main__":
    main()
