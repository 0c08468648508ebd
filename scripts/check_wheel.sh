#!/usr/bin/env bash
# Build a wheel, install it in an empty virtual environment outside the checkout and try the
# commands there. The dependencies are those of the given Python: check_wheel.sh [PYTHON]
set -euo pipefail
[ "${1:-}" = --help ] && sed -n '2,3s/^# //p' "$0" && exit
python=$(command -v "${1:-python}")
checkout=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH

# Build from a copy: a build leaves files behind, and would include those of an earlier one.
mkdir "$work/source"
git -C "$checkout" ls-files -z --cached --others --exclude-standard |
    tar -C "$checkout" --null -cf - -T - | tar -C "$work/source" -xf -
"$python" -m pip wheel -q --no-deps -w "$work/wheels" "$work/source"

# Python does not read the `.pth` files of a folder named in a `.pth` file. So an editable install
# among the dependencies has no effect, and the toolkit that is imported is the wheel's.
"$python" -m venv "$work/venv"
site=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -c 'import sys; print(*(p for p in sys.path if p.endswith("site-packages")), sep="\n")' \
    >"$site/dependencies.pth"
"$work/venv/bin/python" -m pip install -q --no-deps --no-index "$work"/wheels/*.whl

export PATH="$work/venv/bin:$PATH"
mkdir "$work/elsewhere"
cd "$work/elsewhere"
for package in ars envs policies; do
    python -c "import ars, $package; assert $package.__file__.startswith('$site'), $package.__file__"
    test -f "$site/$package/py.typed"
done
few=(--n-iterations 1 --n-directions 2 --eval-episodes 1)
for call in "ars train" "python -m ars train" "python -m ars.train"; do
    $call InvertedPendulum --n-workers 0 "${few[@]}" | tail -n 2
done
ars train InvertedPendulum --n-workers 1 "${few[@]}" >/dev/null # Ray
ars evaluate HalfCheetah --episodes 1 | sed -n 1p
ars render runs/InvertedPendulum/ars-s0 --output pendulum.png | tail -n 1
test -s pendulum.png
ars report runs/InvertedPendulum/ars-s0 --no-pictures --episodes 0
ars verify runs/InvertedPendulum/ars-s0 | tail -n 1
ars plot runs/InvertedPendulum --table | tail -n 1
ars share runs/InvertedPendulum/ars-s0 | tail -n 1
ars export HalfCheetah --format npz | tail -n 1
for command in import tune watch; do
    ars "$command" --help | sed -n 1p
done
test "$(ars | tail -n 1)" = "$(python -m ars | tail -n 1)"
echo "the wheel works"
