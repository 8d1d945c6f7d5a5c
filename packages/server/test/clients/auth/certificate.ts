/** A self-signed certificate on a P-256 key that exists nowhere any more. */
export const certificate = `-----BEGIN CERTIFICATE-----
MIIBhjCCASugAwIBAgIUBbil7yJupQazuwosfVNBxyVVQxswCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMYXV0aC5leGFtcGxlMCAXDTI2MTEyMjA4MzIxM1oYDzIxMjYx
MDI5MDgzMjEzWjAXMRUwEwYDVQQDDAxhdXRoLmV4YW1wbGUwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAATgM56uNAMFBFV5q1juIkEdGU7ocNVT1cQzs6RXODe+n70F
9+9uVSc0lCLEjy8PCBx4YI09oJv989Y9c/RHcuRbo1MwUTAdBgNVHQ4EFgQU+nhX
k1A6R2FrvtyHhXn7j7C30iMwHwYDVR0jBBgwFoAU+nhXk1A6R2FrvtyHhXn7j7C3
0iMwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEA5ekULK/ZNxMv
66ybevWlJx4xiVGwAn7hPXuP65Raoq4CIQCzKbJY2WqeXLiPKgpLJBtBdCapPuuM
9yldQyQ3UF+1sw==
-----END CERTIFICATE-----
`;

/** Signed with the certificate's key: `user-1`, from the first second of the manual clock, for five minutes. */
export const certifiedToken =
  'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c2VyLTEiLCJpYXQiOjE3OTAwMDAwMDAsImV4cCI6MTc5MDAwMDMwMH0.4JezcUSBhmOnziHUW-TjisYvg9B1RgY0ajuE-SIXfxf7jKRl-TdTZqzDB81spZYoAeqOT-tXlL4ISe-bNnFY1Q';
