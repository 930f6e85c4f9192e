#!/usr/bin/env python3
"""Makes images without a container engine, as tars that `ctr images import` and `docker load` take.

make.py dockerfile FILE --context DIR --name NAME:TAG --out TAR
    from a Dockerfile like those of the gateway and the operator: FROM scratch, ARG, COPY, ENV, USER, LABEL, ENTRYPOINT.
make.py programs PROGRAM... --entry PROGRAM --name NAME:TAG --out TAR
    from programs of this machine, with the libraries that `ldd` names: servers for which there is no registry.

Equal input makes equal bytes. What a Dockerfile says beyond those instructions is an error, not passed over.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def fail(sentence):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {sentence}")


class Image:
    """What an image is made of: files by their path inside, and how it is run."""

    def __init__(self, architecture):
        self.architecture = architecture
        self.files = {}
        self.config = {}
        self.history = []

    def add(self, inside, data, mode=0o755):
        self.files[inside.lstrip("/")] = (data, mode)

    def layer(self):
        """The one layer, and its digest before compression."""
        folders = {"tmp"}
        for path in self.files:
            while path := os.path.dirname(path):
                folders.add(path)
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as layer:
            for path in sorted(folders):
                info = tarfile.TarInfo(path)
                info.type, info.mode = tarfile.DIRTYPE, 0o1777 if path == "tmp" else 0o755
                layer.addfile(info)
            for path, (data, mode) in sorted(self.files.items()):
                info = tarfile.TarInfo(path)
                info.size, info.mode = len(data), mode
                layer.addfile(info, io.BytesIO(data))
        plain = tar.getvalue()
        return gzip.compress(plain, compresslevel=1, mtime=0), digest(plain)

    def write(self, name, out):
        layer, plain = self.layer()
        config = document(
            architecture=self.architecture,
            os="linux",
            config=self.config,
            rootfs={"type": "layers", "diff_ids": [plain]},
            history=[{"created_by": line, "empty_layer": at > 0} for at, line in enumerate(self.history)],
        )
        kinds = "application/vnd.oci.image"
        manifest = document(
            schemaVersion=2,
            mediaType=f"{kinds}.manifest.v1+json",
            config=about(f"{kinds}.config.v1+json", config),
            layers=[about(f"{kinds}.layer.v1.tar+gzip", layer)],
        )
        entry = about(f"{kinds}.manifest.v1+json", manifest)
        entry["platform"] = {"architecture": self.architecture, "os": "linux"}
        entry["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
        parts = {
            "oci-layout": document(imageLayoutVersion="1.0.0"),
            "index.json": document(schemaVersion=2, manifests=[entry]),
        }
        for blob in (layer, config, manifest):
            parts["blobs/sha256/" + digest(blob).removeprefix("sha256:")] = blob
        with tarfile.open(out + ".new", "w") as tar:
            for path, data in parts.items():
                info = tarfile.TarInfo(path)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        os.replace(out + ".new", out)


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def document(**fields):
    return json.dumps(fields, sort_keys=True).encode()


def about(kind, data):
    return {"mediaType": kind, "digest": digest(data), "size": len(data)}


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        fail(f"{path}: {error.strerror}")


def instructions(path):
    """The instructions of a Dockerfile: their number, word and rest. Lines that end in a backslash go on."""
    text = read(path).decode().replace("\\\n", " ")
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            word, _, rest = line.strip().partition(" ")
            yield number, word, rest.strip()


def pairs(text):
    """NAME=VALUE NAME="VALUE", as ENV and LABEL have them."""
    return [word.split("=", 1) for word in shlex.split(text)]


def dockerfile(path, context, architecture):
    image = Image(architecture)
    given, known = {"TARGETARCH": architecture}, {}

    def filled(text):
        def value(match):
            name = match[1] or match[2]
            return known[name] if name in known else fail(f"{path}: ${name} has no ARG before its use")

        return re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, text)

    def start(rest):
        rest == "scratch" or fail(f"{path}: FROM {rest}: only scratch is understood")

    def arg(rest):
        known[rest] = given.get(rest) or fail(f"{path}: ARG {rest} has no value here")

    def copy(rest):
        source, target = filled(rest).split()
        file = os.path.join(context, source)
        mode = 0o755 if os.access(file, os.X_OK) else 0o644
        image.add(target, read(file), mode)

    def env(rest):
        image.config.setdefault("Env", []).extend("=".join(pair) for pair in pairs(filled(rest)))

    def user(rest):
        image.config["User"] = rest

    def label(rest):
        image.config.setdefault("Labels", {}).update(pairs(filled(rest)))

    def entrypoint(rest):
        image.config["Entrypoint"] = json.loads(rest)

    known_words = {
        "FROM": start,
        "ARG": arg,
        "COPY": copy,
        "ENV": env,
        "USER": user,
        "LABEL": label,
        "ENTRYPOINT": entrypoint,
    }
    for number, word, rest in instructions(path):
        if word not in known_words:
            fail(f"{path}:{number}: {word} is not understood; use only {', '.join(known_words)}")
        known_words[word](rest)
        image.history.append(f"{word} {rest}")
    return image


def libraries(program):
    """The shared libraries of a program, its loader among them; none when it is static."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True)
    if "not a dynamic executable" in listed.stdout + listed.stderr:
        return []
    found = []
    for line in listed.stdout.splitlines():
        path = re.search(r"(?:=> )?(/\S+) \(0x", line)
        if path:
            found.append(path[1])
        elif "not found" in line:
            fail(f"{program}: {line.strip()}")
    return found


def programs(names, entry, architecture):
    """Programs under /usr/local/bin, so that they are found as in the images that they stand for."""
    image = Image(architecture)
    for name in names:
        image.add("/usr/local/bin/" + os.path.basename(name), read(name))
        for library in libraries(name):
            image.add(library, read(library))
    image.add("/etc/passwd", b"root:x:0:0::/:/none\nnobody:x:65534:65534::/:/none\n", 0o644)
    image.config["Env"] = ["PATH=/usr/local/bin"]
    image.config["Entrypoint"] = [entry]
    image.history.append("programs of this machine: " + " ".join(names))
    return image


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", required=True)
    common.add_argument("--out", required=True)
    one = kinds.add_parser("dockerfile", parents=[common])
    one.add_argument("file")
    one.add_argument("--context", required=True)
    other = kinds.add_parser("programs", parents=[common])
    other.add_argument("programs", nargs="+")
    other.add_argument("--entry", required=True)
    given = parser.parse_args()
    machine = os.uname().machine
    architecture = ARCHITECTURES.get(machine) or fail(f"{machine} has no name among {ARCHITECTURES}")
    if given.kind == "dockerfile":
        image = dockerfile(given.file, given.context, architecture)
    else:
        image = programs(given.programs, given.entry, architecture)
    image.write(given.name, given.out)


main()
