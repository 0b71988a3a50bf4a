using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace MultiAgent.Hosting.Limits;

/// <summary>
/// Token buckets per client address, for endpoints that anybody may call. Memory is bounded: when too many addresses are
/// active at once, new ones share one bucket.
/// </summary>
/// <param name="perMinute">Attempts per minute and address, sustained; at least 1.</param>
/// <param name="burst">Attempts that may come at once; at least 1.</param>
/// <param name="time">The clock.</param>
public sealed class AddressLimiter(int perMinute, int burst, TimeProvider time)
{
    internal const int MaxAddresses = 50_000;
    private static readonly TimeSpan SweepPause = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<UInt128, TokenBucket> _buckets = new();
    private readonly TokenBucket _overflow = new();
    private readonly long _interval = Math.Max(1, TimeSpan.TicksPerMinute / perMinute);
    private readonly long _origin = time.GetTimestamp();
    private long _nextSweep;

    /// <summary>Takes one attempt; false when there is none left, with the time after which there is.</summary>
    public bool TryTake(IPAddress? address, out TimeSpan retryAfter)
    {
        // An origin before the first request keeps "now" above the arrival of an untouched bucket.
        long now = time.GetElapsedTime(_origin).Ticks;
        bool allowed = Bucket(KeyOf(address), now).TryTake(now, _interval, burst, out _, out _, out long retry);
        retryAfter = TimeSpan.FromTicks(retry);
        return allowed;
    }

    internal int Count => _buckets.Count;

    private TokenBucket Bucket(UInt128 key, long now)
    {
        if (_buckets.TryGetValue(key, out TokenBucket? bucket)) return bucket;
        if (_buckets.Count >= MaxAddresses)
        {
            Sweep(now);
            if (_buckets.Count >= MaxAddresses) return _overflow;
        }
        return _buckets.GetOrAdd(key, static _ => new TokenBucket());
    }

    private void Sweep(long now)
    {
        long next = Volatile.Read(ref _nextSweep);
        if (now < next || Interlocked.CompareExchange(ref _nextSweep, now + SweepPause.Ticks, next) != next) return;
        foreach ((UInt128 key, TokenBucket bucket) in _buckets)
            if (bucket.LastArrival <= now) _buckets.TryRemove(key, out _);
    }

    /// <summary>Names the network that the attempts of an address count for: itself, or its /64 where it is of version 6.</summary>
    public static string NetworkOf(IPAddress? address) => KeyOf(address).ToString("x", System.Globalization.CultureInfo.InvariantCulture);

    private static UInt128 KeyOf(IPAddress? address)
    {
        if (address is null) return 0;
        Span<byte> bytes = stackalloc byte[16];
        address.MapToIPv6().TryWriteBytes(bytes, out _);
        // One customer of a provider has a whole /64: counting single addresses would count nothing.
        if (address.AddressFamily == AddressFamily.InterNetworkV6 && !address.IsIPv4MappedToIPv6) bytes[8..].Clear();
        return System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(bytes);
    }
}
