using System.Buffers.Binary;
using System.Text;

namespace MultiAgent.Data.Postgres;

/// <summary>
/// Rows in the binary format of COPY (https://www.postgresql.org/docs/16/sql-copy.html), written by the caller without an object in between: for
/// tables that grow with every request. A row's values come in the order of the columns.
/// </summary>
public sealed class CopyRows
{
    private static readonly DateTimeOffset Epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private byte[] _buffer;
    private int _length;
    private bool _finished;

    /// <param name="capacity">Bytes to begin with.</param>
    public CopyRows(int capacity = 16 * 1024)
    {
        _buffer = new byte[Math.Max(64, capacity)];
        // Signature, flags, and the length of an extension that there is not.
        ((ReadOnlySpan<byte>)[(byte)'P', (byte)'G', (byte)'C', (byte)'O', (byte)'P', (byte)'Y', (byte)'\n', 0xFF, (byte)'\r', (byte)'\n', 0]).CopyTo(_buffer);
        _length = 19;
    }

    /// <summary>Rows that were begun.</summary>
    public int Count { get; private set; }

    public void BeginRow(int columns)
    {
        BinaryPrimitives.WriteInt16BigEndian(Take(2), (short)columns);
        Count++;
    }

    public void Null() => BinaryPrimitives.WriteInt32BigEndian(Take(4), -1);

    /// <summary>A text; a NUL, which PostgreSQL cannot hold, becomes the character for what cannot be shown.</summary>
    public void Text(ReadOnlySpan<byte> utf8)
    {
        if (utf8.Contains((byte)0))
        {
            utf8 = Encoding.UTF8.GetBytes(PostgresText.Storable(Encoding.UTF8.GetString(utf8))!);
        }
        Bytes(utf8);
    }

    public void Bytes(ReadOnlySpan<byte> value)
    {
        Span<byte> place = Take(4 + value.Length);
        BinaryPrimitives.WriteInt32BigEndian(place, value.Length);
        value.CopyTo(place[4..]);
    }

    public void Int32(int value)
    {
        Span<byte> place = Take(8);
        BinaryPrimitives.WriteInt32BigEndian(place, 4);
        BinaryPrimitives.WriteInt32BigEndian(place[4..], value);
    }

    public void Int64(long value)
    {
        Span<byte> place = Take(12);
        BinaryPrimitives.WriteInt32BigEndian(place, 8);
        BinaryPrimitives.WriteInt64BigEndian(place[4..], value);
    }

    public void Double(double value) => Int64(BitConverter.DoubleToInt64Bits(value));

    public void Boolean(bool value)
    {
        Span<byte> place = Take(5);
        BinaryPrimitives.WriteInt32BigEndian(place, 1);
        place[4] = value ? (byte)1 : (byte)0;
    }

    /// <summary>A time, cut to whole milliseconds as everywhere in the database.</summary>
    public void Time(DateTimeOffset value) => Milliseconds(value.ToUnixTimeMilliseconds());

    /// <summary>A time in milliseconds of Unix.</summary>
    public void Milliseconds(long value) => Int64((value - Epoch.ToUnixTimeMilliseconds()) * 1000);

    /// <summary>The whole; nothing can be added any more.</summary>
    internal ReadOnlyMemory<byte> Finish()
    {
        if (!_finished) BinaryPrimitives.WriteInt16BigEndian(Take(2), -1);
        _finished = true;
        return _buffer.AsMemory(0, _length);
    }

    private Span<byte> Take(int bytes)
    {
        if (_buffer.Length - _length < bytes) Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + bytes));
        _length += bytes;
        return _buffer.AsSpan(_length - bytes, bytes);
    }
}
