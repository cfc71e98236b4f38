// Passkeys: what the browser is asked with, and what it gives, in the forms that travel as JSON (Web Authentication,
// sections 5.1.8 to 5.1.10). Browsers that convert them by themselves are not old enough yet to rely on.

interface RequestOptions {
  challenge: string;
  rpId: string;
  timeout: number;
  userVerification: UserVerificationRequirement;
}

interface CreationOptions {
  rp: PublicKeyCredentialRpEntity;
  user: { id: string; name: string; displayName: string };
  challenge: string;
  pubKeyCredParams: PublicKeyCredentialParameters[];
  timeout: number;
  excludeCredentials: { type: "public-key"; id: string }[];
  authenticatorSelection: AuthenticatorSelectionCriteria;
  attestation: AttestationConveyancePreference;
}

/** Whether this browser knows passkeys, and may use them here. */
export const hasPasskeys = typeof PublicKeyCredential === "function" && window.isSecureContext;

function bytes(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function text(buffer: ArrayBuffer | null): string {
  const binary = String.fromCharCode(...new Uint8Array(buffer ?? new ArrayBuffer(0)));
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** Asks for a new passkey; `null` when whoever was asked changed their mind. */
export async function createPasskey(options: CreationOptions): Promise<unknown> {
  const publicKey: PublicKeyCredentialCreationOptions = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: options.excludeCredentials.map(({ type, id }) => ({ type, id: bytes(id) })),
  };
  const made = await given(() => navigator.credentials.create({ publicKey }));
  if (!made) return null;
  const response = made.response as AuthenticatorAttestationResponse;
  return { response: { clientDataJSON: text(response.clientDataJSON), attestationObject: text(response.attestationObject) } };
}

/** Asks for a passkey that there is; `null` as above. */
export async function usePasskey(options: RequestOptions): Promise<unknown> {
  const publicKey: PublicKeyCredentialRequestOptions = { ...options, challenge: bytes(options.challenge) };
  const used = await given(() => navigator.credentials.get({ publicKey }));
  if (!used) return null;
  const response = used.response as AuthenticatorAssertionResponse;
  return {
    id: used.id,
    response: {
      clientDataJSON: text(response.clientDataJSON),
      authenticatorData: text(response.authenticatorData),
      signature: text(response.signature),
      ...(response.userHandle ? { userHandle: text(response.userHandle) } : {}),
    },
  };
}

async function given(asked: () => Promise<Credential | null>): Promise<PublicKeyCredential | null> {
  try {
    return (await asked()) as PublicKeyCredential | null;
  } catch (error) {
    // Browsers say the same of a refusal, a time that ran out, and no passkey that fits.
    if (error instanceof DOMException && ["NotAllowedError", "AbortError"].includes(error.name)) return null;
    throw error;
  }
}
