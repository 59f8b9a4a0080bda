"""Reader process: read Content Credentials (C2PA) with the library of the Content Authenticity Initiative.

The library is native code, and a hostile file may crash it, so it runs in a separate process. It fetches nothing:
remote manifests, revocation (OCSP) and time are not looked up.
"""

import io
import json
import os
import sys
from importlib.util import find_spec
from typing import Any, Final

from service.sandbox.confinement import confine
from service.sandbox.messages import read_message, write_message

# Media types of the formats that can carry credentials.
MIMES: Final = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "MP4": "video/mp4",
    "MOV": "video/quicktime",
}
# IPTC digital source types that denote a generative model (C2PA 2.2, 18.15.4).
_GENERATED: Final = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic")
_MAX_MEMORY_BYTES: Final = 1024**3
# Over the lifetime of one process; the service then starts a new one.
_MAX_CPU_S: Final = 3600
_MAX_CHARACTERS: Final = 120
_MAX_ITEMS: Final = 16


def available() -> bool:
    """Return whether the extra ``provenance`` is installed."""
    return find_spec("c2pa") is not None


def main() -> None:
    """Read pictures from standard input, one per message, and write their credentials to standard output."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keeps the library's own output out of the message stream
    configuration, anchors = read_message(sys.stdin.buffer)
    context = _context(anchors.decode() if configuration["trusts"] else None)
    confine(_MAX_MEMORY_BYTES, _MAX_CPU_S)
    while True:
        try:
            request, payload = read_message(sys.stdin.buffer)
        except EOFError:
            return
        write_message(output, read(payload, request["format"], context))


def _context(anchors: str | None) -> Any:
    """Return a validation context that fetches nothing and trusts only these certificates."""
    import c2pa

    verify = {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": anchors is not None}
    return c2pa.Context.from_dict({"verify": verify, **({"trust": {"trust_anchors": anchors}} if anchors else {})})


def read(payload: bytes, file_format: str, context: Any) -> dict[str, Any]:
    """Return the summary of a picture's Content Credentials.

    Args:
        payload: bytes of the picture.
        file_format: a key of :data:`MIMES`.
        context: validation context.
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
    """Return the summary of a manifest store that the library has read and validated.

    Args:
        store: JSON of the manifest store.
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
        "issuer": _printable(signature.get("issuer")),
        "signed_at": _printable(signature.get("time")),
        "generator": _printable(" ".join(generators)),
        "declares_ai": any(source in _GENERATED for source in sources),
        "digital_source_types": [source[:_MAX_CHARACTERS] for source in sources[:_MAX_ITEMS]],
        "problems": [_printable(code) for code in dict.fromkeys(problems) if code != "signingCredential.untrusted"][
            :_MAX_ITEMS
        ],
    }


def _sources(manifest: dict[str, Any]) -> list[str]:
    """Return the last path segments of the digital source types that a manifest's actions declare."""
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


def _printable(text: object) -> str | None:
    if not text:
        return None
    return "".join(character for character in str(text) if character.isprintable())[:_MAX_CHARACTERS]


if __name__ == "__main__":
    main()
