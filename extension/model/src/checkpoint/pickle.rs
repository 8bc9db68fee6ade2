//! A reader of the pickles that `torch.save` writes, protocols 2 to 5. Nothing is executed: calls, class instances and
//! persistent ids become plain [`Value`]s, whatever they name.
//!
//! Values lie in one list and refer to each other by their place in it. What the memo repeats is therefore shared, and
//! nothing is recursive: neither deep nor widely shared values cost more than the bytes that describe them. The opcodes
//! are those of Python's `pickletools`.

use std::collections::HashMap;

/// Most bytes of a pickle. That of SAM-H with its optimizer takes less than one megabyte: the numbers are elsewhere.
pub(super) const MAX_BYTES: u64 = 32 << 20;

/// Most values of a pickle.
const MAX_VALUES: usize = 1 << 20;

/// The place of a value in its [`Pickle`].
pub(super) type Id = u32;

/// What a pickle describes, with text borrowed from its bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    /// `None`, numbers that are no integers, bytes and sets: nothing that describes a tensor.
    Other,
    Int(i64),
    Text(&'a str),
    /// A tuple or a list.
    Sequence(Vec<Id>),
    /// A dictionary in the order of its keys.
    Mapping(Vec<(Id, Id)>),
    /// A class or function.
    Global {
        module: &'a str,
        name: &'a str,
    },
    /// What the writer keeps outside the pickle: a storage.
    Persistent(Id),
    /// A call or an instance, which is not made.
    Object(Object),
}

/// A call of `callable`, and what was done to its result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    pub(super) callable: Id,
    pub(super) arguments: Id,
    /// What `__setstate__` or the instance's dictionary would get.
    pub(super) state: Option<Id>,
    /// Keys and values that would be set: those of a subclass of `dict`.
    pub(super) items: Vec<(Id, Id)>,
}

/// All values of a pickle.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads a whole pickle.
    ///
    /// # Errors
    /// In words: what is damaged or unknown, and at which byte.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let mut machine =
            Machine { bytes, at: 0, values: Vec::new(), stack: Vec::new(), marks: vec![], memo: HashMap::new() };
        loop {
            let start = machine.at;
            match machine.step() {
                Ok(None) => {}
                Ok(Some(root)) => return Ok(Self { values: machine.values, root }),
                Err(reason) => return Err(format!("{reason} at byte {start} of its pickle")),
            }
        }
    }

    /// What the whole pickle stands for.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    /// The text of a value that is one.
    pub(super) fn text(&self, id: Id) -> Option<&'a str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a number that is not negative.
    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Value::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The elements of a tuple or list.
    pub(super) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Sequence(elements) => Some(elements),
            _ => None,
        }
    }
}

/// The stack machine that pickles are programs for.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

type Step<T> = Result<T, String>;

const EMPTY: &str = "its stack is empty";

impl<'a> Machine<'a> {
    /// Executes one opcode; the result is that of the last one.
    fn step(&mut self) -> Step<Option<Id>> {
        let opcode = self.take(1)?[0];
        match opcode {
            b'\x80' => match self.take(1)?[0] {
                2..=5 => {}
                other => return Err(format!("unknown protocol {other}")),
            },
            b'\x95' => drop(self.take(8)?), // FRAME
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }

            b'N' | b'\x88' | b'\x89' => self.push(Value::Other)?, // None, True, False
            b'K' => self.integer::<1>(false)?,
            b'M' => self.integer::<2>(false)?,
            b'J' => self.integer::<4>(true)?,
            b'\x8a' => {
                let length = self.length(1)?;
                self.long(length)?;
            }
            b'\x8b' => {
                let length = self.length(4)?;
                self.long(length)?;
            }
            b'G' => self.opaque(8)?,

            b'X' => self.string(4)?,
            b'\x8c' => self.string(1)?,
            b'\x8d' => self.string(8)?,
            b'U' => self.string(1)?, // strings of Python 2
            b'T' => self.string(4)?,
            b'C' => {
                let length = self.length(1)?;
                self.opaque(length)?;
            }
            b'B' => {
                let length = self.length(4)?;
                self.opaque(length)?;
            }
            b'\x8e' | b'\x96' => {
                let length = self.length(8)?;
                self.opaque(length)?;
            }

            b')' | b']' => self.push(Value::Sequence(Vec::new()))?,
            b'\x85' => self.tuple(1)?,
            b'\x86' => self.tuple(2)?,
            b'\x87' => self.tuple(3)?,
            b't' | b'l' => {
                let elements = self.pop_mark()?;
                self.push(Value::Sequence(elements))?;
            }
            b'a' => {
                let element = self.pop()?;
                self.append(&[element])?;
            }
            b'e' => {
                let elements = self.pop_mark()?;
                self.append(&elements)?;
            }
            b'}' => self.push(Value::Mapping(Vec::new()))?,
            b'd' => {
                let items = pairs(&self.pop_mark()?)?;
                self.push(Value::Mapping(items))?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![(key, value)])?;
            }
            b'u' => {
                let items = pairs(&self.pop_mark()?)?;
                self.set(items)?;
            }
            b'\x8f' => self.push(Value::Other)?, // a set
            b'\x90' => drop(self.pop_mark()?),   // its elements
            b'\x91' => {
                self.pop_mark()?;
                self.push(Value::Other)?;
            }

            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global { module, name })?;
            }
            b'\x93' => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (self.get(module), self.get(name)) else {
                    return Err("a class without a name".into());
                };
                let (module, name) = (*module, *name);
                self.push(Value::Global { module, name })?;
            }
            b'R' | b'\x81' => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.push(Value::Object(Object { callable, arguments, state: None, items: Vec::new() }))?;
            }
            b'\x92' => {
                let (_keywords, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.push(Value::Object(Object { callable, arguments, state: None, items: Vec::new() }))?;
            }
            b'b' => {
                let (state, target) = (self.pop()?, self.top()?);
                if let Value::Object(object) = &mut self.values[target as usize] {
                    object.state = Some(state);
                }
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Persistent(id))?;
            }

            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            b'\x94' => {
                let index = u32::try_from(self.memo.len()).map_err(|_| "too many values")?;
                let top = self.top()?;
                self.memo.insert(index, top);
            }
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            other => return Err(format!("opcode {other:#04x}, which torch.save does not write,")),
        }
        if self.stack.len() > MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values"));
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Step<&'a [u8]> {
        let bytes: &'a [u8] = self.bytes;
        let taken = bytes.get(self.at..).and_then(|rest| rest.get(..count)).ok_or("it ends too early")?;
        self.at += count;
        Ok(taken)
    }

    /// A number of `width` bytes, little-endian.
    fn length(&mut self, width: usize) -> Step<usize> {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(self.take(width)?);
        usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| "a length that is too large".into())
    }

    fn line(&mut self) -> Step<&'a str> {
        let bytes: &'a [u8] = &self.bytes[self.at..];
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it ends too early")?;
        self.at += end + 1;
        std::str::from_utf8(&bytes[..end]).map_err(|_| "a name that is not UTF-8".into())
    }

    fn push(&mut self, value: Value<'a>) -> Step<()> {
        if self.values.len() >= MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values"));
        }
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
        Ok(())
    }

    fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    /// The top of the stack, which no mark covers.
    fn top(&self) -> Step<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.get(floor..).and_then(<[Id]>::last).copied().ok_or_else(|| EMPTY.into())
    }

    fn pop(&mut self) -> Step<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// All above the latest mark.
    fn pop_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or("a mark is missing")?;
        Ok(self.stack.split_off(mark))
    }

    fn integer<const WIDTH: usize>(&mut self, signed: bool) -> Step<()> {
        let value = self.length(WIDTH)? as i64;
        self.push(Value::Int(if signed { i64::from(value as i32) } else { value }))
    }

    /// An integer of any length in two's complement; beyond 8 bytes it is no size of anything.
    fn long(&mut self, length: usize) -> Step<()> {
        let bytes = self.take(length)?;
        if length > 8 {
            return self.push(Value::Other);
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut extended = [if negative { 0xff } else { 0 }; 8];
        extended[..length].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(extended)))
    }

    fn opaque(&mut self, length: usize) -> Step<()> {
        self.take(length)?;
        self.push(Value::Other)
    }

    fn string(&mut self, width: usize) -> Step<()> {
        let length = self.length(width)?;
        let bytes = self.take(length)?;
        // Python's lone surrogates are no UTF-8, and no name of a tensor.
        self.push(std::str::from_utf8(bytes).map_or(Value::Other, Value::Text))
    }

    fn tuple(&mut self, count: usize) -> Step<()> {
        let mut elements = vec![0; count];
        for element in elements.iter_mut().rev() {
            *element = self.pop()?;
        }
        self.push(Value::Sequence(elements))
    }

    fn append(&mut self, elements: &[Id]) -> Step<()> {
        let target = self.top()?;
        if let Value::Sequence(list) = &mut self.values[target as usize] {
            list.extend_from_slice(elements);
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<(Id, Id)>) -> Step<()> {
        let target = self.top()?;
        match &mut self.values[target as usize] {
            Value::Mapping(mapping) => mapping.extend(items),
            Value::Object(object) => object.items.extend(items),
            _ => return Err("an item of what is no dictionary".into()),
        }
        Ok(())
    }

    fn remember(&mut self, width: usize) -> Step<()> {
        let index = self.length(width)? as u32;
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Step<()> {
        let index = self.length(width)? as u32;
        let id = *self.memo.get(&index).ok_or("a value that was not remembered")?;
        self.stack.push(id);
        Ok(())
    }
}

fn pairs(elements: &[Id]) -> Step<Vec<(Id, Id)>> {
    if !elements.len().is_multiple_of(2) {
        return Err("a key without a value".into());
    }
    Ok(elements.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        Pickle::parse(bytes).unwrap_err()
    }

    #[test]
    fn reads_values() {
        // {'a': (1, -2), 'b': [300]} in protocol 2
        let pickle =
            Pickle::parse(b"\x80\x02}q\0(X\x01\0\0\0aK\x01J\xfe\xff\xff\xff\x86X\x01\0\0\0b]M\x2c\x01au.").unwrap();
        let Value::Mapping(items) = pickle.get(pickle.root()) else { panic!("no dictionary") };
        let [(a, pair), (b, list)] = items[..] else { panic!("{items:?}") };
        assert_eq!((pickle.text(a), pickle.text(b)), (Some("a"), Some("b")));
        let [one, two] = pickle.sequence(pair).unwrap() else { panic!("no pair") };
        assert_eq!((pickle.size(*one), pickle.get(*two), pickle.size(*two)), (Some(1), &Value::Int(-2), None));
        assert_eq!(pickle.size(pickle.sequence(list).unwrap()[0]), Some(300));
    }

    #[test]
    fn makes_nothing_of_what_it_does_not_know() {
        // os.system('x') in protocol 4
        let pickle =
            Pickle::parse(b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x01x\x94\x85\x94R\x94.").unwrap();
        let Value::Object(object) = pickle.get(pickle.root()) else { panic!("no object") };
        assert_eq!(pickle.get(object.callable), &Value::Global { module: "os", name: "system" });
    }

    #[test]
    fn deep_and_shared_values_cost_nothing() {
        // ((((...),),),)
        let deep = [&b"\x80\x02)"[..], &[b'\x85'; 500_000], b"."].concat();
        assert_eq!(Pickle::parse(&deep).unwrap().root(), 500_000);
        // a pair of the pair before, 100 times
        let mut shared = b"\x80\x02N".to_vec();
        (0..100).for_each(|index| shared.extend([b'q', index, b'h', index, b'\x86']));
        shared.push(b'.');
        assert_eq!(Pickle::parse(&shared).unwrap().root(), 100);
        let many = [&b"\x80\x02"[..], &[b'N'; MAX_VALUES + 1], b"."].concat();
        assert!(refusal(&many).starts_with("more than 1048576 values at byte "));
    }

    #[test]
    fn names_what_is_damaged() {
        assert_eq!(refusal(b""), "it ends too early at byte 0 of its pickle");
        assert_eq!(refusal(b"\x80\x07."), "unknown protocol 7 at byte 0 of its pickle");
        assert_eq!(refusal(b"\x80\x02."), "its stack is empty at byte 2 of its pickle");
        assert_eq!(refusal(b"\x80\x02t."), "a mark is missing at byte 2 of its pickle");
        assert_eq!(refusal(b"\x80\x02(N(0t."), "its stack is empty at byte 5 of its pickle");
        assert_eq!(refusal(b"\x80\x02NNNs."), "an item of what is no dictionary at byte 5 of its pickle");
        assert_eq!(refusal(b"\x80\x02(Nd."), "a key without a value at byte 4 of its pickle");
        assert_eq!(refusal(b"\x80\x02h\x07."), "a value that was not remembered at byte 2 of its pickle");
        assert_eq!(refusal(b"\x80\x02X\xff\xff\xff\xffa."), "it ends too early at byte 2 of its pickle");
        assert!(refusal(b"\x80\x02i").contains("opcode 0x69, which torch.save does not write, at byte 2"));
    }
}
