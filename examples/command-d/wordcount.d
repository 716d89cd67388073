/// Puts the number of words of the body on top of each message, as X-Words. The message comes from stdin, and
/// goes to stdout behind the field. Better C: the runtime of D knows no WASI.
module wordcount;

extern (C):

ptrdiff_t read(int fd, void* buffer, size_t length);
ptrdiff_t write(int fd, const void* buffer, size_t length);
void* realloc(void* old, size_t size);
int snprintf(char* buffer, size_t size, const char* format, ...);
void abort();

/// What a place beyond the end of an array comes to.
void __assert(const char* what, const char* file, int line)
{
    abort();
}

enum temporary = 75; // EX_TEMPFAIL: the client comes again

int main()
{
    size_t length, room = 65_536;
    auto message = cast(char*) realloc(null, room);
    for (;;)
    {
        if (message is null)
            return temporary;
        const n = read(0, message + length, room - length);
        if (n < 0)
            return temporary;
        if (n == 0)
            break;
        length += n;
        if (length == room)
            message = cast(char*) realloc(message, room *= 2);
    }
    char[64] field;
    const size = snprintf(field.ptr, field.length, "X-Words: %u\r\n", words(message[0 .. length]));
    return put(field.ptr, size) && put(message, length) ? 0 : temporary;
}

/// The words after the first empty line.
uint words(const char[] message)
{
    uint count;
    bool body, inside;
    foreach (i, c; message)
    {
        if (!body)
        {
            body = c == '\n' && i >= 2 && message[i - 2] == '\n' && message[i - 1] == '\r';
            continue;
        }
        const blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        count += inside && blank;
        inside = !blank;
    }
    return count + inside;
}

bool put(const(char)* octets, size_t length)
{
    for (size_t at; at < length;)
    {
        const n = write(1, octets + at, length - at);
        if (n < 0)
            return false;
        at += n;
    }
    return true;
}
