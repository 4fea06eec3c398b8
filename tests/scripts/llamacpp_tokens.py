"""Writes the token ids that llama.cpp gives for a list of strings: the expectation of the tokenizer test.

    python llamacpp_tokens.py MODEL.gguf STRINGS.json OUTPUT.json

STRINGS.json is one array of strings. OUTPUT.json holds, in the same order, the ids as plain words ("words": control
tokens in the text stay text, nothing is added) and as a whole prompt ("prompt": control tokens are recognised, the
beginning-of-sequence token is added where the model asks for it). The packages are pinned in requirements.txt.
"""

import importlib.metadata
import json
import os
import sys
import urllib.request

import xllamacpp


def tokenize(address, text, whole_prompt):
    """Asks the server inside the library, which is the only door to llama.cpp's tokenizer that it has."""
    body = {"content": text, "add_special": whole_prompt, "parse_special": whole_prompt}
    request = urllib.request.Request(
        address + "/tokenize", data=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)["tokens"]


def serve(model):
    """Starts llama.cpp's server on a free loopback port, as small as it can be."""
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx = 64
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.warmup = False
    return xllamacpp.Server(params)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    model, strings_file, output = sys.argv[1:]
    with open(strings_file, encoding="utf-8") as file:
        strings = json.load(file)
    server = serve(model)
    address = server.listening_address
    result = {
        "made_by": "llamacpp_tokens.py with xllamacpp " + importlib.metadata.version("xllamacpp"),
        "model": os.path.basename(model),
        "words": [tokenize(address, text, False) for text in strings],
        "prompt": [tokenize(address, text, True) for text in strings],
    }
    with open(output, "w", encoding="utf-8") as file:
        file.write("{\n")
        file.write(f' "made_by": {json.dumps(result["made_by"])},\n "model": {json.dumps(result["model"])},\n')
        for name, end in (("words", ","), ("prompt", "")):
            rows = ",\n".join("  " + json.dumps(ids, separators=(",", ":")) for ids in result[name])
            file.write(f' "{name}": [\n{rows}\n ]{end}\n')
        file.write("}\n")


if __name__ == "__main__":
    main()
