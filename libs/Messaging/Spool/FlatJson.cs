using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;

namespace MultiAgent.Messaging.Spool;

/// <summary>
/// Writes one JSON object as UTF-8 into a buffer that is used again. Each request writes two of them, and this takes a third of the
/// serializer's time. Names are given with their quotes and colon, so that they are copied as they are: <c>"tenant_id":</c>.
/// </summary>
internal sealed class FlatJson
{
    // What needs no escape; the rest takes the slow way.
    private static readonly SearchValues<char> Plain = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 -_.,:;/@#$%()[]{}=~^|!?*");

    private byte[] _buffer = new byte[2048];
    private int _length;

    /// <summary>The object, after <see cref="End"/>.</summary>
    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    public void Begin()
    {
        _buffer[0] = (byte)'{';
        _length = 1;
    }

    public void End()
    {
        if (_buffer[_length - 1] == ',') _length--;
        Raw("}"u8);
    }

    /// <summary>A string; null is left out.</summary>
    public void Text(ReadOnlySpan<byte> name, string? value)
    {
        if (value is null) return;
        Raw(name);
        String(value);
        Raw(","u8);
    }

    public void Number(ReadOnlySpan<byte> name, long value)
    {
        Raw(name);
        Utf8Formatter.TryFormat(value, Space(20), out int written);
        _length += written;
        Raw(","u8);
    }

    /// <summary>A decimal with all its digits; null is left out.</summary>
    public void Number(ReadOnlySpan<byte> name, decimal? value)
    {
        if (value is not { } number) return;
        Raw(name);
        number.TryFormat(Space(32), out int written, default, CultureInfo.InvariantCulture);
        _length += written;
        Raw(","u8);
    }

    /// <summary>A number of at most three decimals, such as milliseconds; null is left out.</summary>
    public void Thousandths(ReadOnlySpan<byte> name, double? value)
    {
        if (value is not { } number) return;
        // Whole thousandths: the shortest form of a double takes ten times as long to find.
        long thousandths = (long)Math.Round(number * 1000);
        (long whole, long rest) = Math.DivRem(Math.Abs(thousandths), 1000);
        Raw(name);
        if (thousandths < 0) Raw("-"u8);
        Utf8Formatter.TryFormat(whole, Space(20), out int written);
        _length += written;
        if (rest > 0)
        {
            Raw("."u8);
            Utf8Formatter.TryFormat(rest, Space(3), out written, new StandardFormat('D', 3));
            _length += written;
        }
        Raw(","u8);
    }

    /// <summary>A number whose default is zero, which is left out.</summary>
    public void Count(ReadOnlySpan<byte> name, long value)
    {
        if (value != 0) Number(name, value);
    }

    /// <summary>A flag whose default is false, which is left out.</summary>
    public void Flag(ReadOnlySpan<byte> name, bool value)
    {
        if (!value) return;
        Raw(name);
        Raw("true,"u8);
    }

    public void Time(ReadOnlySpan<byte> name, DateTimeOffset value)
    {
        Raw(name);
        Raw("\""u8);
        Utf8Formatter.TryFormat(value.UtcDateTime, Space(40), out int written, new StandardFormat('O'));
        _length += written;
        Raw("\","u8);
    }

    /// <summary>An object of strings; null is left out.</summary>
    public void Texts(ReadOnlySpan<byte> name, IReadOnlyDictionary<string, string>? values)
    {
        if (values is null) return;
        Raw(name);
        Raw("{"u8);
        bool first = true;
        foreach ((string key, string value) in values)
        {
            if (!first) Raw(","u8);
            first = false;
            String(key);
            Raw(":"u8);
            String(value);
        }
        Raw("},"u8);
    }

    private void String(string value)
    {
        Raw("\""u8);
        // The encoder's output is ASCII too, and has U+FFFD in place of what is no UTF-16.
        if (value.AsSpan().ContainsAnyExcept(Plain)) value = JavaScriptEncoder.Default.Encode(value);
        Ascii.FromUtf16(value, Space(value.Length), out int written);
        _length += written;
        Raw("\""u8);
    }

    private void Raw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Space(bytes.Length));
        _length += bytes.Length;
    }

    private Span<byte> Space(int count)
    {
        if (_buffer.Length - _length < count) Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + count));
        return _buffer.AsSpan(_length);
    }
}
