//! What a condition looks at.
//!
//! Owns: the variables and functions that conditions have; every other name is a mistake that is told before
//! it denies anybody. Pure. Used by: `condition`; the gateway keeps of a request what is read here.

use cel::common::ast::operators::INDEX;
use cel::common::ast::{ComprehensionExpr, Expr, IdedExpr, LiteralValue};
use std::collections::BTreeSet;

/// Functions beside the operators.
const FUNCTIONS: [&str; 12] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "int",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
];
/// Names of types, to compare with `type(…)`.
const TYPES: [&str; 9] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "uint",
];

/// Which entries of a map are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    These(BTreeSet<String>),
    All,
}

impl Default for Names {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl Names {
    fn add(&mut self, name: &str) {
        if let Self::These(names) = self {
            names.insert(name.to_owned());
        }
    }

    /// Whether `name` is read.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(name),
            Self::All => true,
        }
    }

    /// Whether nothing is read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::These(names) if names.is_empty())
    }

    /// Reads what `other` reads, too.
    pub fn extend(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::All, _) => {}
            (_, Self::All) => *self = Self::All,
            (Self::These(names), Self::These(more)) => names.extend(more.iter().cloned()),
        }
    }
}

/// What conditions read of who asks for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// The captures of the topic's pattern.
    pub topic: Names,
    /// The verified identity.
    pub identity: bool,
    /// Claims of the token, by the first name.
    pub claims: Names,
    /// Anything of the request itself.
    pub request: bool,
    /// Headers of the request, in lower case.
    pub headers: Names,
}

impl Reads {
    /// Looks through the whole expression. The error names what is unknown.
    pub(super) fn of(term: &IdedExpr) -> Result<Self, String> {
        let mut reads = Self::default();
        reads.look(term, &mut Vec::new())?;
        Ok(reads)
    }

    /// Reads what `other` reads, too.
    pub fn extend(&mut self, other: &Self) {
        self.topic.extend(&other.topic);
        self.identity |= other.identity;
        self.claims.extend(&other.claims);
        self.request |= other.request;
        self.headers.extend(&other.headers);
    }

    /// `loops` are the variables of loops around the term.
    fn look<'a>(&mut self, term: &'a IdedExpr, loops: &mut Vec<&'a str>) -> Result<(), String> {
        match &term.expr {
            Expr::Ident(name) => self.whole(name, loops),
            Expr::Select(select) => self.field(&select.operand, &select.field, loops),
            Expr::Call(call) => match (&*call.func_name, &*call.args) {
                (INDEX, [map, key]) => match text(key) {
                    Some(name) => self.field(map, name, loops),
                    None => {
                        self.look(map, loops)?;
                        self.look(key, loops)
                    }
                },
                (name, arguments) => {
                    check_function(name)?;
                    let parts = call.target.as_deref().into_iter().chain(arguments);
                    parts
                        .into_iter()
                        .try_for_each(|part| self.look(part, loops))
                }
            },
            Expr::List(list) => list
                .elements
                .iter()
                .try_for_each(|part| self.look(part, loops)),
            Expr::Comprehension(comprehension) => self.inside(comprehension, loops),
            Expr::Literal(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => Ok(()),
        }
    }

    fn inside<'a>(
        &mut self,
        c: &'a ComprehensionExpr,
        loops: &mut Vec<&'a str>,
    ) -> Result<(), String> {
        self.look(&c.iter_range, loops)?;
        self.look(&c.accu_init, loops)?;
        let outside = loops.len();
        loops.extend([&*c.iter_var, &*c.accu_var]);
        loops.extend(c.iter_var2.as_deref());
        let parts = [&c.loop_cond, &c.loop_step, &c.result];
        parts
            .into_iter()
            .try_for_each(|part| self.look(part, loops))?;
        loops.truncate(outside);
        Ok(())
    }

    /// A variable as a whole.
    fn whole(&mut self, name: &str, loops: &[&str]) -> Result<(), String> {
        match name {
            _ if loops.contains(&name) || TYPES.contains(&name) => {}
            "topic" => self.topic = Names::All,
            "identity" => self.identity = true,
            "claims" => self.claims = Names::All,
            "request" => {
                self.request = true;
                self.headers = Names::All;
            }
            _ => {
                return Err(format!(
                    "names {name:?}, which is not known; there are topic, claims, request and identity"
                ));
            }
        }
        Ok(())
    }

    /// One entry of a map.
    fn field<'a>(
        &mut self,
        map: &'a IdedExpr,
        name: &str,
        loops: &mut Vec<&'a str>,
    ) -> Result<(), String> {
        match &map.expr {
            Expr::Ident(variable) if !loops.contains(&&**variable) => match &**variable {
                "topic" => self.topic.add(name),
                "claims" => self.claims.add(name),
                "request" => self.of_request(name)?,
                _ => self.whole(variable, loops)?,
            },
            Expr::Select(select)
                if select.field == "headers" && is(&select.operand, "request", loops) =>
            {
                self.request = true;
                self.header(name)?;
            }
            _ => self.look(map, loops)?,
        }
        Ok(())
    }

    fn of_request(&mut self, name: &str) -> Result<(), String> {
        self.request = true;
        match name {
            "ip" | "origin" | "path" => Ok(()),
            "headers" => {
                self.headers = Names::All;
                Ok(())
            }
            _ => Err(format!(
                "names request.{name}, which is not known; there are ip, origin, path and headers"
            )),
        }
    }

    fn header(&mut self, name: &str) -> Result<(), String> {
        if name.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(format!(
                "reads the header {name:?}; names of headers are in lower case here"
            ));
        }
        if matches!(name, "authorization" | "cookie") {
            return Err(format!(
                "reads the header {name:?}, which conditions do not see; use claims or identity"
            ));
        }
        self.headers.add(name);
        Ok(())
    }
}

fn is(term: &IdedExpr, name: &str, loops: &[&str]) -> bool {
    matches!(&term.expr, Expr::Ident(ident) if ident == name && !loops.contains(&name))
}

fn text(term: &IdedExpr) -> Option<&str> {
    match &term.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn check_function(name: &str) -> Result<(), String> {
    let is_operator = name.starts_with(['_', '@', '!', '-']);
    if is_operator || FUNCTIONS.contains(&name) {
        return Ok(());
    }
    Err(format!(
        "calls {name}(), which is not supported; there are {}, and has, all, exists, exists_one, map, filter",
        FUNCTIONS.join(", ")
    ))
}
