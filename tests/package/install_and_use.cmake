# What tests/package/CMakeLists.txt runs: BUILD is our build folder, WORK a scratch folder.
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/installed)
run(${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK}/build -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_PREFIX_PATH=${WORK}/installed)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/app)
run(${WORK}/installed/bin/transcribe --version)
run(${WORK}/installed/bin/parley --version)
run(${WORK}/installed/bin/transcribe ${CONSUMER}/../../../data/audio/sample.flac)  # by the embedded model
file(REMOVE_RECURSE ${WORK})
