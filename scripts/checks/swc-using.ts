import type { Statement, VariableDeclarator } from '@swc/core';
import { Visitor } from '@swc/core/Visitor.js';

/**
 * Teaches the walker of @swc/core, which dependency-cruiser uses, the statements `using` and `await using`:
 * it throws at them as unknown, although its parser supports them.
 */
// oxlint-disable typescript/no-deprecated, typescript/unbound-method -- it is what dependency-cruiser calls
const visitStatement = Visitor.prototype.visitStatement;

Visitor.prototype.visitStatement = function (this: Visitor, statement: Statement): Statement {
  const node = statement as { type: string; decls?: VariableDeclarator[] };
  if (node.type !== 'UsingDeclaration') return visitStatement.call(this, statement);
  this.visitVariableDeclarators(node.decls ?? []);
  return statement;
};
