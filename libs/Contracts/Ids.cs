using System.Buffers.Binary;
using System.Security.Cryptography;

namespace MultiAgent.Contracts;

/// <summary>
/// Makes identifiers: a short prefix that names the kind and 26 characters of Crockford base32 over a UUID version 7
/// (RFC 9562), e.g. <c>run_01jdm3x9q2e6k8y5c7b4a1v0zt</c>. Ids sort by time of creation as plain strings.
/// </summary>
public static class Ids
{
    // Random bytes for a hundred ids at a time: asking the system for each costs more than the rest of making it.
    private const int Pool = 1000;

    [ThreadStatic]
    private static byte[]? t_random;

    [ThreadStatic]
    private static int t_used;

    private const string Alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

    /// <summary>A new id with the given prefix (without underscore), stamped with <paramref name="now"/>.</summary>
    public static string New(string prefix, DateTimeOffset now)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteInt64BigEndian(bytes, now.ToUnixTimeMilliseconds() << 16);
        NextRandom(bytes[6..]);
        // version 7 and the variant of RFC 9562
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x70);
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return Format(prefix, BinaryPrimitives.ReadUInt128BigEndian(bytes));
    }

    /// <summary>The smallest id that could have been made at a time: what was made then or later is not below it.</summary>
    public static string LowerBound(string prefix, DateTimeOffset time) =>
        Format(prefix, (UInt128)(ulong)Math.Max(0, time.ToUnixTimeMilliseconds()) << 80);

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

    private static void NextRandom(Span<byte> ten)
    {
        if (t_random is null || t_used == Pool)
        {
            RandomNumberGenerator.Fill(t_random ??= new byte[Pool]);
            t_used = 0;
        }
        t_random.AsSpan(t_used, 10).CopyTo(ten);
        t_used += 10;
    }

    private static string Format(string prefix, UInt128 value) =>
        string.Create(prefix.Length + 27, (prefix, value), static (span, state) =>
        {
            state.prefix.CopyTo(span);
            span[state.prefix.Length] = '_';
            UInt128 rest = state.value;
            for (int i = span.Length - 1; i > state.prefix.Length; i--)
            {
                span[i] = Alphabet[(int)(rest & 31)];
                rest >>= 5;
            }
        });
}
