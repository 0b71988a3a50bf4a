using System.Runtime.CompilerServices;
using MultiAgent.Contracts.Events;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace MultiAgent.Messaging.JetStream;

/// <summary>The operator's work on the two streams.</summary>
internal sealed class JetStreamEventOperations(JetStreamConnection connection, IEventBus bus) : IEventOperations
{
    private const int NotFound = 404;

    public async IAsyncEnumerable<EventEnvelope> TailAsync(string filter, bool fromStart, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        NatsJSContext stream = await connection.ReadyAsync(cancellationToken);
        INatsJSConsumer source = await stream.CreateOrderedConsumerAsync(connection.Events, new NatsJSOrderedConsumerOpts
        {
            FilterSubjects = [connection.FilterOf(filter, null)],
            DeliverPolicy = fromStart ? ConsumerConfigDeliverPolicy.All : ConsumerConfigDeliverPolicy.New,
        }, cancellationToken);
        await foreach (INatsJSMsg<byte[]> message in source.ConsumeAsync(NatsRawSerializer<byte[]>.Default, cancellationToken: cancellationToken))
            // Older servers overlook the filter.
            if (EventHeaders.Read(message.Headers, message.Data ?? []) is { } e && Subjects.Matches(filter, e.Subject)) yield return e;
    }

    public async Task<IReadOnlyList<DeadLetter>> ListDeadAsync(string? consumer, long after, int limit, CancellationToken cancellationToken)
    {
        INatsJSStream stream = await StreamAsync(cancellationToken);
        var found = new List<DeadLetter>();
        ulong next = (ulong)Math.Max(0, after) + 1;
        while (found.Count < limit && await GetAsync(stream, new StreamMsgGetRequest { Seq = next, NextBySubj = connection.DeadLetterSubject(consumer ?? "*") }, cancellationToken) is { } message)
        {
            next = message.Seq + 1;
            if (Read(message) is { } letter) found.Add(letter);
        }
        return found;
    }

    public async Task<bool> ReplayAsync(long seq, CancellationToken cancellationToken)
    {
        INatsJSStream stream = await StreamAsync(cancellationToken);
        if (seq < 1 || await GetAsync(stream, new StreamMsgGetRequest { Seq = (ulong)seq }, cancellationToken) is not { } message || Read(message) is not { } letter) return false;
        await bus.PublishAsync([letter.Event with { Id = $"{letter.Event.Id}.replay-{seq}" }], cancellationToken);
        return await DropAsync(seq, cancellationToken);
    }

    public async Task<bool> DropAsync(long seq, CancellationToken cancellationToken)
    {
        try
        {
            return seq >= 1 && await (await StreamAsync(cancellationToken)).DeleteMessageAsync(new StreamMsgDeleteRequest { Seq = (ulong)seq }, cancellationToken) is { Success: true };
        }
        catch (NatsJSApiException e) when (e.Error.Code == NotFound || e.Error.ErrCode == 10057)
        {
            return false;
        }
    }

    private async Task<INatsJSStream> StreamAsync(CancellationToken cancellationToken) =>
        await (await connection.ReadyAsync(cancellationToken)).GetStreamAsync(connection.DeadLetters, cancellationToken: cancellationToken);

    private static async Task<StoredMessage?> GetAsync(INatsJSStream stream, StreamMsgGetRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return (await ((NatsJSStream)stream).GetAsync(request, cancellationToken)).Message;
        }
        catch (NatsJSApiException e) when (e.Error.Code == NotFound)
        {
            return null;
        }
    }

    private static DeadLetter? Read(StoredMessage message)
    {
        var headers = new NatsHeaders();
        if (message.Hdrs is { } encoded)
        {
            foreach (string line in System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(encoded)).Split("\r\n").Skip(1))
                if (line.IndexOf(':', StringComparison.Ordinal) is > 0 and int colon) headers[line[..colon]] = line[(colon + 1)..].Trim();
        }
        return EventHeaders.ReadDead(headers, message.Data, (long)message.Seq, message.Time);
    }
}
