export type Rhash = "sha256" | "sha384" | "sha1" | "cshake128";
