/** Options of a repository's store, as a JSON object of strings; secrets are references in it. */
export const repositoryOptions = `
ALTER TABLE repository ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
`;
