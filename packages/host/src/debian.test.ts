// What is read from apt and dpkg: formats as Debian 12 prints them.
import { describe, expect, it } from "vitest";
import { chooseArchive, debLine, parseIndexTargets, signedByOf, withoutCredentials } from "./apt-source.ts";
import { installedPackages } from "./debian-packages.ts";

const TARGETS = `Debian|Debian|bookworm-updates|main|http://mirror.example/debian/|/etc/apt/sources.list.d/debian.sources:1
Debian|Debian|bookworm|main|http://mirror.example/debian/|/etc/apt/sources.list.d/debian.sources:1
Debian|Debian|bookworm|contrib|http://elsewhere.example/debian/|/etc/apt/sources.list:1
Debian|Debian-Security|bookworm-security|main|http://mirror.example/debian-security/|/etc/apt/sources.list.d/debian.sources:2
Docker|Docker CE|bookworm|stable|http://docker.example/linux/debian/|/etc/apt/sources.list.d/docker.list:1
`;

describe("the Debian archive of a machine", () => {
  it("is the plain suite's, whatever else is configured", () => {
    const chosen = chooseArchive(parseIndexTargets(TARGETS));
    expect(chosen?.main).toMatchObject({ codename: "bookworm", repoUri: "http://mirror.example/debian/" });
    expect(chosen?.security?.repoUri).toBe("http://mirror.example/debian-security/");
  });

  it("is none on another distribution, or before the first apt-get update", () => {
    expect(
      chooseArchive(parseIndexTargets("Ubuntu|Ubuntu|noble|main|http://mirror.example/ubuntu/|/x:1\n")),
    ).toBeUndefined();
    expect(chooseArchive(parseIndexTargets(""))).toBeUndefined();
    expect(chooseArchive(parseIndexTargets("\n||||\nDebian|Debian\n"))).toBeUndefined();
  });

  it("may do without a security archive", () => {
    const [, plain] = TARGETS.split("\n");
    expect(chooseArchive(parseIndexTargets(plain ?? ""))?.security).toBeUndefined();
  });
});

describe("signedByOf", () => {
  const deb822 = `Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/one.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/two.gpg
`;

  it("reads the stanza that apt names", () => {
    expect(signedByOf(deb822, 1)).toBe("/usr/share/keyrings/one.gpg");
    expect(signedByOf(deb822, 2)).toBe("/usr/share/keyrings/two.gpg");
    expect(signedByOf(deb822, 3)).toBeUndefined();
  });

  it("reads one-line sources", () => {
    const list =
      "# mine\ndeb [arch=amd64 signed-by=/etc/apt/keyrings/d.gpg] http://mirror.example/debian bookworm main\n";
    expect(signedByOf(list, 2)).toBe("/etc/apt/keyrings/d.gpg");
    expect(signedByOf("deb http://mirror.example/debian bookworm main\n", 1)).toBeUndefined();
  });

  it("takes no key that is written into the file, nor a relative one", () => {
    expect(signedByOf("Types: deb\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n", 1)).toBeUndefined();
    expect(signedByOf("Types: deb\nSigned-By: keys.gpg\n", 1)).toBeUndefined();
  });
});

describe("sources of our own", () => {
  it("name keyring, mirror and suite", () => {
    expect(debLine("/k.gpg", "http://mirror.example/debian/", "bookworm-backports")).toBe(
      "deb [signed-by=/k.gpg] http://mirror.example/debian/ bookworm-backports main\n",
    );
  });

  it("carry no password into an image", () => {
    expect(withoutCredentials("https://user:secret@mirror.example/debian/")).toBe("https://mirror.example/debian/");
    expect(withoutCredentials("http://mirror.example/a@b/")).toBe("http://mirror.example/a@b/");
  });
});

describe("installedPackages", () => {
  it("counts only what is wholly installed", () => {
    const output = "gcc installed\nconmon config-files\nmake half-configured\nnftables installed\n";
    expect([...installedPackages(output)].sort()).toEqual(["gcc", "nftables"]);
  });
});
