"""llama.cpp through its C interface, as the pinned wheel `xllamacpp` exports it.

The wheel's own Python interface is a server, which gives text; here logits and timings of single steps are needed.
Structures are declared as far as they are used and padded beyond their real size, which the calling conventions
permit for arguments in memory. Their defaults are checked when a model is loaded, so that a wheel with another layout
is refused and never misread.
"""

import ctypes
import sys
from ctypes import POINTER, Structure, c_bool, c_float, c_int, c_int8, c_int32, c_uint8, c_uint32, c_void_p

import xllamacpp.xllamacpp

# More than either structure of parameters takes.
PADDING = 512


class ModelParams(Structure):
    _fields_ = [("unused", c_uint8 * PADDING)]


class ContextParams(Structure):
    _fields_ = [
        ("n_ctx", c_uint32),
        ("n_batch", c_uint32),
        ("n_ubatch", c_uint32),
        ("n_seq_max", c_uint32),
        ("unused", c_uint32 * 3),
        ("n_threads", c_int32),
        ("n_threads_batch", c_int32),
        ("rest", c_uint8 * PADDING),
    ]


class Batch(Structure):
    _fields_ = [
        ("n_tokens", c_int32),
        ("token", POINTER(c_int32)),
        ("embd", POINTER(c_float)),
        ("pos", POINTER(c_int32)),
        ("n_seq_id", POINTER(c_int32)),
        ("seq_id", POINTER(POINTER(c_int32))),
        ("logits", POINTER(c_int8)),
    ]


LOG_CALLBACK = ctypes.CFUNCTYPE(None, c_int, ctypes.c_char_p, c_void_p)
# Kept for as long as the library may call it.
SILENT = LOG_CALLBACK(lambda level, text, data: None)


def load_library():
    """The library with the signatures that are used here."""
    library = ctypes.CDLL(xllamacpp.xllamacpp.__file__)
    signatures = {
        "llama_log_set": (None, [LOG_CALLBACK, c_void_p]),
        "llama_backend_init": (None, []),
        "llama_model_default_params": (ModelParams, []),
        "llama_context_default_params": (ContextParams, []),
        "llama_model_load_from_file": (c_void_p, [ctypes.c_char_p, ModelParams]),
        "llama_model_get_vocab": (c_void_p, [c_void_p]),
        "llama_vocab_n_tokens": (c_int32, [c_void_p]),
        "llama_init_from_model": (c_void_p, [c_void_p, ContextParams]),
        "llama_free": (None, [c_void_p]),
        "llama_model_free": (None, [c_void_p]),
        "llama_batch_init": (Batch, [c_int32, c_int32, c_int32]),
        "llama_batch_free": (None, [Batch]),
        "llama_decode": (c_int32, [c_void_p, Batch]),
        "llama_synchronize": (None, [c_void_p]),
        "llama_get_logits_ith": (POINTER(c_float), [c_void_p, c_int32]),
        "llama_get_memory": (c_void_p, [c_void_p]),
        "llama_memory_clear": (None, [c_void_p, c_bool]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.llama_log_set(SILENT, None)
    library.llama_backend_init()
    return library


def context_params(library):
    """llama.cpp's own defaults, once it is certain that they are read rightly."""
    params = library.llama_context_default_params()
    known = (params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max, params.n_threads, params.n_threads_batch)
    if known != (512, 2048, 512, 1, 4, 4):
        sys.exit(f"llama.cpp's parameters are laid out otherwise {known}: adapt ContextParams in {__file__}")
    return params


class Model:
    """A model with one context. All settings but sizes and threads are llama.cpp's defaults."""

    def __init__(self, path, threads, positions, sequences=1):
        self.llama = load_library()
        self.model = self.llama.llama_model_load_from_file(path.encode(), self.llama.llama_model_default_params())
        if not self.model:
            sys.exit(f"llama.cpp cannot read {path}")
        params = context_params(self.llama)
        params.n_ctx, params.n_seq_max = positions * sequences, sequences
        params.n_threads = params.n_threads_batch = threads
        self.context = self.llama.llama_init_from_model(self.model, params)
        if not self.context:
            sys.exit(f"llama.cpp cannot run {path}")
        self.vocabulary = self.llama.llama_vocab_n_tokens(self.llama.llama_model_get_vocab(self.model))
        self.rows = max(positions, sequences)
        self.batch = self.llama.llama_batch_init(self.rows, 0, 1)

    def clear(self):
        """Forgets every sequence."""
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.context), False)

    def fill(self, rows):
        """Sets the next batch: rows of (token, position, sequence, whether logits are wanted)."""
        self.batch.n_tokens = len(rows)
        for index, (token, position, sequence, logits) in enumerate(rows):
            self.batch.token[index] = token
            self.batch.pos[index] = position
            self.batch.n_seq_id[index] = 1
            self.batch.seq_id[index][0] = sequence
            self.batch.logits[index] = logits

    def decode(self):
        """Computes the batch and waits for the result."""
        code = self.llama.llama_decode(self.context, self.batch)
        if code != 0:
            sys.exit(f"llama.cpp cannot compute {self.batch.n_tokens} rows: error {code}")
        self.llama.llama_synchronize(self.context)

    def logits(self, row):
        """The logits of a row of the last batch."""
        return self.llama.llama_get_logits_ith(self.context, row)[: self.vocabulary]

    def close(self):
        """Gives the memory back."""
        self.llama.llama_batch_free(self.batch)
        self.llama.llama_free(self.context)
        self.llama.llama_model_free(self.model)
