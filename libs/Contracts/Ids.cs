using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace MultiAgent.Contracts;

/// <summary>
/// Makes identifiers: a short prefix that names the kind and 26 characters of Crockford base32 over a UUID version 7
/// (RFC 9562), e.g. <c>run_01jdm3x9q2e6k8y5c7b4a1v0zt</c>. Ids sort by time of creation as plain strings.
/// </summary>
public static class Ids
{
    private const string Alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

    /// <summary>A new id with the given prefix (without underscore), stamped with <paramref name="now"/>.</summary>
    public static string New(string prefix, DateTimeOffset now)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteInt64BigEndian(bytes, now.ToUnixTimeMilliseconds() << 16);
        // An id is no secret: whose it is, is checked wherever it is used. The cryptographic generator took a hundredth of a busy gateway's time.
        Random.Shared.NextBytes(bytes[6..]);
        // version 7 and the variant of RFC 9562
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x70);
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return Format(prefix, BinaryPrimitives.ReadUInt128BigEndian(bytes));
    }

    /// <summary>The id that this time and this seed always make: for what may be done twice and must be there once.</summary>
    /// <param name="prefix">Names the kind, without underscore.</param>
    /// <param name="time">In front of the id, so that it sorts like any other.</param>
    /// <param name="seed">In place of chance; different for different things.</param>
    public static string Of(string prefix, DateTimeOffset time, string seed)
    {
        Span<byte> bytes = stackalloc byte[32];
        SHA256.HashData(Encoding.UTF8.GetBytes($"{prefix}\n{seed}"), bytes);
        BinaryPrimitives.WriteInt64BigEndian(bytes, (time.ToUnixTimeMilliseconds() << 16) | BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]));
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x70);
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return Format(prefix, BinaryPrimitives.ReadUInt128BigEndian(bytes));
    }

    /// <summary>The smallest id that could have been made at a time: what was made then or later is not below it.</summary>
    public static string LowerBound(string prefix, DateTimeOffset time) =>
        Format(prefix, (UInt128)(ulong)Math.Max(0, time.ToUnixTimeMilliseconds()) << 80);

    /// <summary>When an id was made, to the millisecond.</summary>
    /// <param name="id">One that <see cref="IsValid"/>; of another the answer means nothing.</param>
    /// <param name="prefix">Its prefix.</param>
    public static DateTimeOffset TimeOf(string id, string prefix)
    {
        UInt128 value = 0;
        foreach (char digit in id.AsSpan(prefix.Length + 1)) value = (value << 5) | (uint)Alphabet.IndexOf(digit, StringComparison.Ordinal);
        // 48 bits of an id made elsewhere may lie beyond the years that there are.
        return DateTimeOffset.FromUnixTimeMilliseconds(Math.Min((long)(value >> 80), DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()));
    }

    /// <summary>A new id with the given prefix, stamped by the clock of <paramref name="time"/>.</summary>
    public static string New(string prefix, TimeProvider time) => New(prefix, time.GetUtcNow());

    /// <summary>
    /// True when <paramref name="id"/> has the prefix and 26 characters of the alphabet. Use it on untrusted input
    /// before a look-up: what is not an id cannot name anything.
    /// </summary>
    public static bool IsValid(string? id, string prefix)
    {
        if (id is null || id.Length != prefix.Length + 27 || id[prefix.Length] != '_') return false;
        return id.StartsWith(prefix, StringComparison.Ordinal)
            && id.AsSpan(prefix.Length + 1).IndexOfAnyExcept(Alphabet) < 0;
    }

    private static string Format(string prefix, UInt128 value) =>
        string.Create(prefix.Length + 27, (prefix, value), static (span, state) =>
        {
            state.prefix.CopyTo(span);
            span[state.prefix.Length] = '_';
            Span<char> digits = span[(state.prefix.Length + 1)..];
            // In pieces of a machine word: arithmetic on 128 bits would cost a call for each digit.
            Write(digits[14..], (ulong)state.value);
            Write(digits[2..14], (ulong)(state.value >> 60));
            Write(digits[..2], (ulong)(state.value >> 120));
        });

    private static void Write(Span<char> digits, ulong value)
    {
        for (int i = digits.Length - 1; i >= 0; i--)
        {
            digits[i] = Alphabet[(int)(value & 31)];
            value >>= 5;
        }
    }
}
