using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using MultiAgent.Data;

namespace MultiAgent.Messaging.Spool;

/// <summary>
/// A mapped file that records are appended to. The pages belong to the system, so what was appended outlives the process
/// even when it is killed. Layout: 64 bytes of header (magic, sequence, write offset, spool id), then records of
/// length (4 bytes, little endian), kind (1 byte), payload.
/// </summary>
internal sealed unsafe class SpoolArea : IDisposable
{
    private const long Magic = 0x314C4F4F5053414D; // "MASPOOL1"
    private const int HeaderSize = 64;
    private const int RecordHeader = 5;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _base;
    private readonly long _capacity;
    private bool _disposed;

    public SpoolArea(string path, long capacity)
    {
        var stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        // An area that is not empty keeps its size, whatever the setting says now.
        if (stream.Length < capacity) Reserve(stream, capacity);
        _capacity = stream.Length;
        _file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor();
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _base);
        if (*(long*)_base != Magic)
        {
            Guid.NewGuid().TryWriteBytes(new Span<byte>(_base + 24, 16));
            Sequence = 0;
            WriteOffset = HeaderSize;
            *(long*)_base = Magic;
        }
        // A file that was cut or damaged outside must not be read beyond its end.
        if (WriteOffset < HeaderSize || WriteOffset > _capacity) WriteOffset = HeaderSize;
    }

    /// <summary>Order of filling among the areas of a spool.</summary>
    public long Sequence
    {
        get => Volatile.Read(ref *(long*)(_base + 8));
        set => Volatile.Write(ref *(long*)(_base + 8), value);
    }

    /// <summary>Unique to this file, so that ids made from sequences are unique in the world.</summary>
    public Guid Id => new(new ReadOnlySpan<byte>(_base + 24, 16));

    public bool IsEmpty => WriteOffset == HeaderSize;

    /// <summary>Part of the area that is used, 0 to 1.</summary>
    public double Used => (double)WriteOffset / _capacity;

    private long WriteOffset
    {
        get => Volatile.Read(ref *(long*)(_base + 16));
        set => Volatile.Write(ref *(long*)(_base + 16), value);
    }

    /// <summary>Appends under the caller's lock; false when there is no room.</summary>
    public bool TryAppend(SpoolKind kind, ReadOnlySpan<byte> record)
    {
        long offset = WriteOffset;
        long next = offset + RecordHeader + record.Length;
        if (next > _capacity) return false;
        BinaryPrimitives.WriteInt32LittleEndian(new Span<byte>(_base + offset, 4), record.Length);
        _base[offset + 4] = (byte)kind;
        record.CopyTo(new Span<byte>(_base + offset + RecordHeader, record.Length));
        // The record counts from here on: a process killed before this line has not appended it.
        WriteOffset = next;
        return true;
    }

    /// <summary>Visits all records in order.</summary>
    public void Read(Action<SpoolKind, ReadOnlySpan<byte>> visit)
    {
        long end = WriteOffset;
        long offset = HeaderSize;
        while (offset + RecordHeader <= end)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(new ReadOnlySpan<byte>(_base + offset, 4));
            if (length < 0 || offset + RecordHeader + length > end) return;
            visit((SpoolKind)_base[offset + 4], new ReadOnlySpan<byte>(_base + offset + RecordHeader, length));
            offset += RecordHeader + length;
        }
    }

    // Written, not only sized: touching a page of a mapped file for which the disk has no room would end the process.
    private static void Reserve(FileStream stream, long capacity)
    {
        long before = stream.Length;
        byte[] zeros = new byte[256 * 1024];
        try
        {
            stream.Position = before;
            for (long left = capacity - before; left > 0; left -= zeros.Length) stream.Write(zeros, 0, (int)Math.Min(left, zeros.Length));
            stream.Flush(flushToDisk: true);
        }
        catch (IOException e)
        {
            stream.SetLength(before);
            stream.Dispose();
            throw new StartupException($"There is no room for the event spool ({capacity / (1024 * 1024)} MB at {stream.Name}): {e.Message} Free some space, or make it smaller with Messaging:SpoolMegabytes.");
        }
    }

    public void Clear() => WriteOffset = HeaderSize;

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
    }
}
