using System.Buffers.Binary;

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
        Guid.CreateVersion7(now).TryWriteBytes(bytes, bigEndian: true, out _);
        return Format(prefix, BinaryPrimitives.ReadUInt128BigEndian(bytes));
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
            UInt128 rest = state.value;
            for (int i = span.Length - 1; i > state.prefix.Length; i--)
            {
                span[i] = Alphabet[(int)(rest & 31)];
                rest >>= 5;
            }
        });
}
