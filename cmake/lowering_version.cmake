# Writes ${OUT}: a hash of ${SOURCES} and LLVM's version, as kLoweringVersion (src/codegen/gen_support.h).
set(text "LLVM ${LLVM}")
foreach(source IN LISTS SOURCES)
  file(SHA256 ${source} hash)
  string(APPEND text " ${hash}")
endforeach()
string(SHA256 hash "${text}")
file(WRITE ${OUT} "#include \"codegen/gen_support.h\"
const std::string_view thixo::codegen::kLoweringVersion = \"${hash}\";
")
