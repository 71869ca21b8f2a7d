#!/bin/sh
# One run of the challenge: the case in inputs/ becomes a label map in outputs/.
set -eu
exec openvista cvpr predict --inputs /workspace/inputs --outputs /workspace/outputs --model /workspace/model --quiet
