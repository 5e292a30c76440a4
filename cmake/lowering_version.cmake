# Writes ${OUT}: a hash of ${SOURCES} and LLVM's version, as kLoweringVersion (src/codegen/lowering_version.h).
set(text "LLVM ${LLVM}")
foreach(source IN LISTS SOURCES)
  file(SHA256 ${source} hash)
  string(APPEND text " ${hash}")
endforeach()
string(SHA256 hash "${text}")
file(WRITE ${OUT} "#include \"codegen/lowering_version.h\"
const std::string_view thixo::codegen::kLoweringVersion = \"${hash}\";
")
