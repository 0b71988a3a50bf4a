using System.Buffers.Text;
using System.Text;

namespace MultiAgent.Models.Upstream;

/// <summary>Parsing of what stands in the head of an HTTP/1.1 response (RFC 9112).</summary>
internal static class HttpHead
{
    /// <summary>Parses <c>HTTP/1.x NNN …</c>; <paramref name="lineEnd"/> is where the header lines begin.</summary>
    public static bool TryParseStatus(ReadOnlySpan<byte> head, out int status, out int lineEnd, out bool http10)
    {
        status = 0;
        http10 = false;
        lineEnd = head.IndexOf("\r\n"u8) + 2;
        if (lineEnd < 2 || head.Length < 12 || !head.StartsWith("HTTP/1."u8) || head[8] != ' ') return false;
        http10 = head[7] == '0';
        return Utf8Parser.TryParse(head.Slice(9, 3), out status, out int used) && used == 3 && status is >= 100 and <= 599;
    }

    /// <summary>The trimmed value of the first header with that name; empty when there is none.</summary>
    public static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> lines, string name)
    {
        while (!lines.IsEmpty)
        {
            int end = lines.IndexOf("\r\n"u8);
            ReadOnlySpan<byte> line = end < 0 ? lines : lines[..end];
            if (line.Length > name.Length && line[name.Length] == ':' && Ascii.EqualsIgnoreCase(line[..name.Length], name))
                return line[(name.Length + 1)..].Trim(" \t"u8);
            if (end < 0) break;
            lines = lines[(end + 2)..];
        }
        return default;
    }

    public static bool EqualsIgnoreCase(ReadOnlySpan<byte> value, ReadOnlySpan<byte> expected) => Ascii.EqualsIgnoreCase(value, expected);

    public static bool TryParseLength(ReadOnlySpan<byte> value, out long length) =>
        Utf8Parser.TryParse(value, out length, out int used) && used == value.Length && length >= 0;

    /// <summary>A chunk's size, up to an extension.</summary>
    public static bool TryParseHex(ReadOnlySpan<byte> line, out long size)
    {
        int extension = line.IndexOf((byte)';');
        ReadOnlySpan<byte> digits = (extension < 0 ? line : line[..extension]).Trim(" \t"u8);
        size = 0;
        if (digits.Length is 0 or > 15) return false;
        return Utf8Parser.TryParse(digits, out size, out int used, 'x') && used == digits.Length && size >= 0;
    }
}
