// Thread-local variables of fast paths.
#pragma once

/// A plain thread-local in the static TLS block: one instruction to reach, also from a shared library. That block
/// is small (a library that is opened late shares about 1.6 KB with all others): pointers and flags only.
#define THIXO_FAST_TLS __attribute__((tls_model("initial-exec"))) constinit thread_local
