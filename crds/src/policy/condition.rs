//! The condition of a rule: CEL, compiled once and weighed.
//!
//! Owns: which expressions are served (the interpreter has no budget of its own), and what of a request each
//! one reads. Never: evaluates one, the gateway's `access` does. Pure. Used by: `policy::rule`.

mod reads;
#[cfg(test)]
mod tests;

pub use reads::{Names, Reads};

use cel::common::ast::{Expr, IdedExpr};
use cel::{ParseErrors, Program};
use std::sync::Arc;

/// The most bytes of an expression.
pub const CONDITION_BYTES: usize = 1024;
/// The most terms of an expression.
const TERMS: usize = 256;
/// The most of them inside a loop, what the loop itself takes included: they are evaluated for each item.
const LOOP_TERMS: usize = 32;
/// The most items of a list or map in claims that a condition may see.
pub const LIST_ITEMS: usize = 256;
/// Brackets inside brackets; the parser goes down one level of its stack for each.
const NESTING: usize = 24;

/// A condition that can be evaluated. Two are equal when their texts are.
#[derive(Clone, Debug)]
pub struct Condition(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    text: String,
    program: Program,
    reads: Reads,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Condition {}

impl Condition {
    /// Compiles and weighs `text`. The error is the end of a sentence that begins with the field.
    pub fn compile(text: &str) -> Result<Self, String> {
        if text.len() > CONDITION_BYTES {
            return Err(format!(
                "has {} bytes; use at most {CONDITION_BYTES}",
                text.len()
            ));
        }
        if nesting(text) > NESTING {
            return Err(format!(
                "has brackets more than {NESTING} deep; write it flatter"
            ));
        }
        let program = Program::compile(text).map_err(|errors| unreadable(text, &errors))?;
        let terms = weigh(program.expression(), false)?;
        if terms > TERMS {
            return Err(format!(
                "has {terms} terms; use at most {TERMS}, or several rules"
            ));
        }
        let reads = Reads::of(program.expression())?;
        Ok(Self(Arc::new(Compiled {
            text: text.to_owned(),
            program,
            reads,
        })))
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// What is evaluated.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.0.program
    }

    /// What it needs to know.
    #[must_use]
    pub fn reads(&self) -> &Reads {
        &self.0.reads
    }
}

/// How deep brackets stand in one another; those in string literals count, too.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The first mistake with its line and column, both from 1.
fn unreadable(text: &str, errors: &ParseErrors) -> String {
    let Some(first) = errors.errors.first() else {
        return "cannot be read as CEL".to_owned();
    };
    let (line, column) = first.pos;
    let place = if text.contains('\n') {
        format!("line {line}, column {}", column.max(1))
    } else {
        format!("column {}", column.max(1))
    };
    let cause: String = first.msg.chars().take(200).collect();
    format!("cannot be read as CEL at {place}: {cause}")
}

/// The terms of an expression. Loops must not nest.
fn weigh(term: &IdedExpr, in_loop: bool) -> Result<usize, String> {
    let parts: Vec<&IdedExpr> = match &term.expr {
        Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Comprehension(_) if in_loop => {
            return Err(
                "has a loop inside a loop (all, exists, map, filter); use one at a time".to_owned(),
            );
        }
        Expr::Comprehension(c) => {
            vec![
                &c.iter_range,
                &c.accu_init,
                &c.loop_cond,
                &c.loop_step,
                &c.result,
            ]
        }
        Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
            return Err("has a map or struct literal, which is not supported".to_owned());
        }
    };
    let is_loop = matches!(term.expr, Expr::Comprehension(_));
    let parts = parts.into_iter();
    let terms = parts
        .map(|part| weigh(part, in_loop || is_loop))
        .sum::<Result<usize, String>>()?
        + 1;
    if is_loop && terms > LOOP_TERMS {
        return Err(format!(
            "has a loop of {terms} terms; use at most {LOOP_TERMS} in one, or several rules"
        ));
    }
    Ok(terms)
}
