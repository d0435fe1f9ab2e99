/** The package's version; a test keeps it the same as package.json's. */
export const VERSION = "0.1.0";
