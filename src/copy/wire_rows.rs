//! Writes binary COPY for tests and benches, straight from the PostgreSQL manual: the oracle
//! that the decoder is held against. Panics on what PostgreSQL would not send.

/// A stream under construction.
pub(crate) struct WireRows {
    /// What has been written.
    pub(crate) bytes: Vec<u8>,
}

impl WireRows {
    /// The header alone.
    pub(crate) fn new() -> Self {
        let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
        bytes.extend_from_slice(&[0; 8]);
        Self { bytes }
    }

    /// Begins a row.
    pub(crate) fn row(&mut self, fields: i16) -> &mut Self {
        self.bytes.extend_from_slice(&fields.to_be_bytes());
        self
    }

    /// Appends a field; `None` is NULL.
    pub(crate) fn field(&mut self, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(value) => {
                let length = i32::try_from(value.len()).expect("a field is below 1 GiB");
                self.bytes.extend_from_slice(&length.to_be_bytes());
                self.bytes.extend_from_slice(value);
            }
            None => self.bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
        self
    }

    /// Ends the stream.
    pub(crate) fn trailer(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        self.bytes
    }
}

/// The wire form of a decimal number in text, such as `-12.50`, as `numeric_send` makes it.
pub(crate) fn numeric(text: &str) -> Vec<u8> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let left = (4 - whole.len() % 4) % 4;
    let right = (4 - fraction.len() % 4) % 4;
    let padded = format!("{}{whole}{fraction}{}", "0".repeat(left), "0".repeat(right));
    let mut weight = (whole.len() + left) as i32 / 4 - 1;
    let mut digits: Vec<u16> = padded
        .as_bytes()
        .chunks(4)
        .map(|group| group.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
        .collect();
    while digits.first() == Some(&0) {
        digits.remove(0);
        weight -= 1;
    }
    while digits.last() == Some(&0) {
        digits.pop();
    }
    if digits.is_empty() {
        weight = 0;
    }
    let sign = if negative && !digits.is_empty() { 0x4000 } else { 0 };
    numeric_parts(weight as i16, sign, fraction.len() as u16, &digits)
}

/// The wire form of a numeric from its parts.
pub(crate) fn numeric_parts(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> Vec<u8> {
    let header = [digits.len() as u16, weight as u16, sign, scale];
    header.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
}
