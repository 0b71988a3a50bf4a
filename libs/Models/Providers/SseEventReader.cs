using System.Buffers;

namespace MultiAgent.Models.Providers;

/// <summary>
/// Takes the data of server-sent events out of bytes that arrive in any pieces. Names, ids and comments are skipped:
/// the providers' data says itself what it is.
/// </summary>
internal sealed class SseEventReader
{
    /// <summary>Largest event that is accepted, bytes; a provider that sends more is broken.</summary>
    public const int MaxEventBytes = 4 * 1024 * 1024;

    private readonly ArrayBufferWriter<byte> _data = new(1024);
    private bool _complete;

    /// <summary>
    /// Consumes lines from the front of <paramref name="buffer"/> until an event is complete; the memory is valid until
    /// the next call. False when more bytes are needed.
    /// </summary>
    /// <exception cref="InvalidDataException">An event is too large.</exception>
    public bool TryRead(ref ReadOnlySequence<byte> buffer, out ReadOnlyMemory<byte> data)
    {
        if (_complete)
        {
            _data.ResetWrittenCount();
            _complete = false;
        }
        while (buffer.PositionOf((byte)'\n') is { } newline)
        {
            ReadOnlySequence<byte> line = buffer.Slice(0, newline);
            buffer = buffer.Slice(buffer.GetPosition(1, newline));
            if (!TakeLine(line)) continue;
            _complete = true;
            data = _data.WrittenMemory;
            return true;
        }
        if (buffer.Length + _data.WrittenCount > MaxEventBytes) throw new InvalidDataException("An event of the stream is too large.");
        data = default;
        return false;
    }

    /// <summary>True when the line ends an event that has data.</summary>
    private bool TakeLine(ReadOnlySequence<byte> sequence)
    {
        if (sequence.Length + _data.WrittenCount > MaxEventBytes) throw new InvalidDataException("An event of the stream is too large.");
        ReadOnlySpan<byte> line = sequence.IsSingleSegment ? sequence.FirstSpan : sequence.ToArray();
        if (line is [.., (byte)'\r']) line = line[..^1];
        if (line.IsEmpty) return _data.WrittenCount > 0;
        if (!line.StartsWith("data:"u8)) return false;
        line = line[5..];
        if (line is [(byte)' ', ..]) line = line[1..];
        if (_data.WrittenCount > 0) _data.Write("\n"u8);
        _data.Write(line);
        return false;
    }
}
