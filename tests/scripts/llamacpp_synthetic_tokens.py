"""Writes small vocabularies of the kinds that no model at hand has, and the token ids that llama.cpp gives for them.

    python llamacpp_synthetic_tokens.py STRINGS.json OUTPUT_FOLDER

For each kind a GGUF file with one tiny layer of zeros is written to a temporary folder, llama.cpp reads it, and its
ids for the strings go with the vocabulary into OUTPUT_FOLDER/KIND.json, which the text crate's tests read. Run it
with the packages of requirements.txt; the file is written by hand, so that nothing else is needed.
"""

import importlib.metadata
import json
import os
import struct
import sys
import tempfile
from collections import Counter

from llamacpp_tokens import serve, tokenize

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
UINT32, FLOAT32, BOOL, STRING, ARRAY, INT32 = 4, 6, 7, 8, 9, 5
TENSORS_BEGIN_AT = 32
WIDTH = 32


def byte_letters():
    """GPT-2's alphabet: byte to character."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in printable}
    others = (byte for byte in range(256) if byte not in letters)
    letters.update({byte: chr(0x100 + index) for index, byte in enumerate(others)})
    return letters


def train_merges(words, count):
    """Plain byte-pair training: joins the most frequent pair, again and again."""
    merges = []
    words = Counter(words)
    pieces = {word: tuple(word) for word in words}
    for _ in range(count):
        pairs = Counter()
        for word, times in words.items():
            for pair in zip(pieces[word], pieces[word][1:]):
                pairs[pair] += times
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word, parts in pieces.items():
            pieces[word] = join(parts, best)
    return merges


def join(parts, pair):
    """Joins each occurrence of the pair, from the left."""
    joined = []
    for part in parts:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)


def words_of(strings):
    """Words with the space before them: a source of frequent pieces, but of none that spells a control token."""
    plain = [text for text in strings if "<" not in text]
    return [word for text in plain for word in text.replace(" ", "\n ").split("\n") if word]


def llama_bpe(strings):
    """Byte-level BPE as Llama 3 has it. Some words are tokens that no merges lead to: they must be taken whole."""
    letters = byte_letters()
    spell = lambda word: "".join(letters[byte] for byte in word.encode())
    merges = train_merges([spell(word) for word in words_of(strings)], 400)
    tokens = [*letters.values()]
    tokens += [text for text in dict.fromkeys(left + right for left, right in merges) if text not in tokens]
    whole = [spell(word) for word in ("ferry", " waits", "\n\n", "漢", " café", "123")]
    tokens += [word for word in whole if word not in tokens]
    types = [NORMAL] * len(tokens)
    tokens += ["<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>", "<think>", "Room101"]
    types += [CONTROL] * 4 + [USER_DEFINED] * 2
    return {
        "model": "gpt2",
        "pre": "llama-bpe",
        "tokens": tokens,
        "token_type": types,
        "scores": [],
        "merges": [f"{left} {right}" for left, right in merges],
        "bos": tokens.index("<|begin_of_text|>"),
        "eos": tokens.index("<|end_of_text|>"),
    }


def sentence_piece(strings):
    """SentencePiece with byte fallback. Many scores are equal, and some characters exist only inside longer pieces."""
    words = [" " + word.removeprefix(" ") for word in words_of(strings)]
    merges = train_merges([word.replace(" ", "\u2581") for word in words], 700)
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256
    scores = [0.0] * len(tokens)
    joined = list(dict.fromkeys(left + right for left, right in merges))
    letters = sorted({letter for text in joined for letter in text})
    pieces = joined + [letter for letter in letters if ord(letter) < 0x2600]
    for rank, piece in enumerate(pieces):
        tokens.append(piece)
        types.append(NORMAL)
        scores.append(-float(rank // 4))
    tokens += ["<think>", "Room101"]
    types += [USER_DEFINED] * 2
    scores += [0.0] * 2
    return {
        "model": "llama",
        "pre": "",
        "tokens": tokens,
        "token_type": types,
        "scores": scores,
        "merges": [],
        "bos": 1,
        "eos": 2,
    }


def packed_string(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def packed_value(kind, value):
    """One metadata value of GGUF; arrays come as (kind of element, list)."""
    if kind == STRING:
        return packed_string(value)
    if kind == ARRAY:
        element, values = value
        return struct.pack("<IQ", element, len(values)) + b"".join(packed_value(element, one) for one in values)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}[kind], value)


def metadata(vocabulary):
    """The smallest `llama` model around a vocabulary."""
    shape = {
        "context_length": 64,
        "embedding_length": WIDTH,
        "block_count": 1,
        "feed_forward_length": WIDTH,
        "attention.head_count": 1,
        "vocab_size": len(vocabulary["tokens"]),
    }
    keys = [("general.architecture", STRING, "llama")]
    keys += [(f"llama.{name}", UINT32, value) for name, value in shape.items()]
    keys += [("llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5)]
    ggml = [
        ("model", STRING, vocabulary["model"]),
        ("tokens", ARRAY, (STRING, vocabulary["tokens"])),
        ("token_type", ARRAY, (INT32, vocabulary["token_type"])),
        ("bos_token_id", UINT32, vocabulary["bos"]),
        ("eos_token_id", UINT32, vocabulary["eos"]),
    ]
    if vocabulary["pre"]:
        ggml.append(("pre", STRING, vocabulary["pre"]))
    if vocabulary["merges"]:
        ggml.append(("merges", ARRAY, (STRING, vocabulary["merges"])))
    if vocabulary["scores"]:
        ggml.append(("scores", ARRAY, (FLOAT32, vocabulary["scores"])))
    return keys + [(f"tokenizer.ggml.{name}", kind, value) for name, kind, value in ggml]


def write_gguf(path, vocabulary):
    """Writes GGUF version 3 with tensors of zeros in F32."""
    square = (WIDTH, WIDTH)
    tensors = {"token_embd.weight": (WIDTH, len(vocabulary["tokens"])), "output_norm.weight": (WIDTH,)}
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        tensors[f"blk.0.{name}.weight"] = square
    for name in ("attn_norm", "ffn_norm"):
        tensors[f"blk.0.{name}.weight"] = (WIDTH,)
    keys = metadata(vocabulary)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, kind, value in keys:
        head += packed_string(name) + struct.pack("<I", kind) + packed_value(kind, value)
    end = 0
    for name, dimensions in tensors.items():
        sizes = b"".join(struct.pack("<Q", size) for size in dimensions)
        head += packed_string(name) + struct.pack("<I", len(dimensions)) + sizes + struct.pack("<IQ", 0, end)
        end += 4 * dimensions[0] * (dimensions[1] if len(dimensions) > 1 else 1)
    head += bytes(-len(head) % TENSORS_BEGIN_AT)
    with open(path, "wb") as file:
        file.write(head + bytes(end))


def rows(values):
    return "[\n" + ",\n".join("  " + json.dumps(value, separators=(",", ":")) for value in values) + "\n ]"


def write_expectation(path, vocabulary, address, strings):
    """One JSON file: the vocabulary, and each string with its ids as words and as a whole prompt."""
    cases = [[text, tokenize(address, text, False), tokenize(address, text, True)] for text in strings]
    made_by = "llamacpp_synthetic_tokens.py with xllamacpp " + importlib.metadata.version("xllamacpp")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'{{\n "made_by": {json.dumps(made_by)},\n')
        file.write(f' "vocabulary": {json.dumps(vocabulary)},\n "cases": {rows(cases)}\n}}\n')


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    strings_file, folder = sys.argv[1:]
    with open(strings_file, encoding="utf-8") as file:
        strings = json.load(file)
    for kind, vocabulary in (("llama-bpe", llama_bpe(strings)), ("sentence-piece", sentence_piece(strings))):
        with tempfile.TemporaryDirectory() as temporary:
            model = os.path.join(temporary, "model.gguf")
            write_gguf(model, vocabulary)
            server = serve(model)
            write_expectation(os.path.join(folder, kind + ".json"), vocabulary, server.listening_address, strings)
            del server


if __name__ == "__main__":
    main()
