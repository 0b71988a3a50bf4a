using System.CommandLine;
using System.Globalization;
using MultiAgent.Contracts.Events;
using MultiAgent.Messaging;
using Spectre.Console;

namespace MultiAgent.Maap.Events;

/// <summary><c>maap events</c>: watch the bus, and decide about what consumers gave up on.</summary>
internal static class EventsCommand
{
    private const int Page = 200;

    private static readonly Option<string?> Consumer = new("--consumer") { Description = "Of this consumer only." };
    private static readonly Option<bool> All = new("--all") { Description = "All dead letters, or all of --consumer." };
    private static readonly Option<bool> Json = new("--json") { Description = "One JSON object per line." };
    private static readonly Argument<long[]> Numbers = new("number") { Description = "Numbers as 'dlq list' shows them.", Arity = ArgumentArity.ZeroOrMore };

    public static Command Create()
    {
        var dlq = new Command("dlq", "Dead letters: events that a consumer could not handle.");
        dlq.Subcommands.Add(List());
        dlq.Subcommands.Add(Decide("replay", "Publish dead letters again, and remove them. Every consumer of the subject gets the event; it counts once all the same.", "replayed", (events, seq, stop) => events.ReplayAsync(seq, stop)));
        dlq.Subcommands.Add(Decide("drop", "Remove dead letters for good.", "dropped", (events, seq, stop) => events.DropAsync(seq, stop)));
        var events = new Command("events", "Events on the bus.");
        events.Subcommands.Add(Tail());
        events.Subcommands.Add(dlq);
        return events;
    }

    private static Command Tail()
    {
        var filter = new Argument<string>("filter") { Description = "Subjects: '*' stands for one token, '>' for the rest.", DefaultValueFactory = _ => ">" };
        var fromStart = new Option<bool>("--from-start") { Description = "Begin with the oldest event that is kept." };
        var count = new Option<int?>("--count") { Description = "End after so many events." };
        var command = new Command("tail", "Show events as they are published, one JSON object (CloudEvents) per line, until Ctrl-C.") { filter, fromStart, count };
        command.SetAction((result, stop) => Bus.RunAsync(async events =>
        {
            int left = result.GetValue(count) ?? int.MaxValue;
            if (left < 1) return 0;
            await foreach (EventEnvelope e in events.TailAsync(result.GetValue(filter)!, result.GetValue(fromStart), stop))
            {
                Console.Out.WriteLine(EventLine.Of(e));
                if (--left == 0) break;
            }
            return 0;
        }, stop));
        return command;
    }

    private static Command List()
    {
        var limit = new Option<int>("--limit") { Description = "At most so many.", DefaultValueFactory = _ => Page };
        var after = new Option<long>("--after") { Description = "Those with a greater number only." };
        var command = new Command("list", "List dead letters, oldest first.") { Consumer, limit, after, Json };
        command.SetAction((result, stop) => Bus.RunAsync(async events =>
        {
            IReadOnlyList<DeadLetter> letters = await events.ListDeadAsync(result.GetValue(Consumer), result.GetValue(after), Math.Max(1, result.GetValue(limit)), stop);
            if (result.GetValue(Json)) foreach (DeadLetter letter in letters) Console.Out.WriteLine(EventLine.Of(letter));
            else Write(letters);
            return 0;
        }, stop));
        return command;
    }

    private static Command Decide(string name, string description, string done, Func<IEventOperations, long, CancellationToken, Task<bool>> act)
    {
        var command = new Command(name, description) { Numbers, All, Consumer };
        command.Validators.Add(result =>
        {
            bool numbers = result.GetValue(Numbers) is { Length: > 0 };
            if (numbers == result.GetValue(All)) result.AddError("Give either numbers or --all.");
            else if (numbers && result.GetValue(Consumer) is not null) result.AddError("--consumer goes with --all.");
        });
        command.SetAction((result, stop) => Bus.RunAsync(async events =>
        {
            int count = 0, missing = 0;
            if (result.GetValue(All))
            {
                // What is replayed and fails again comes back with a greater number: only those that are there now are meant.
                long after = 0;
                List<long> numbers = [];
                while (await events.ListDeadAsync(result.GetValue(Consumer), after, Page, stop) is { Count: > 0 } page)
                {
                    numbers.AddRange(page.Select(l => l.Seq));
                    after = page[^1].Seq;
                }
                foreach (long seq in numbers) if (await act(events, seq, stop)) count++;
            }
            else
            {
                foreach (long seq in result.GetValue(Numbers)!)
                {
                    if (await act(events, seq, stop)) count++;
                    else
                    {
                        missing++;
                        await Console.Error.WriteLineAsync($"maap: there is no dead letter {seq.ToString(CultureInfo.InvariantCulture)}.");
                    }
                }
            }
            Console.Out.WriteLine($"{count.ToString(CultureInfo.InvariantCulture)} {done}.");
            return missing == 0 ? 0 : 1;
        }, stop));
        return command;
    }

    private static void Write(IReadOnlyList<DeadLetter> letters)
    {
        if (letters.Count == 0)
        {
            Console.Out.WriteLine("There are no dead letters.");
            return;
        }
        var table = new Table().Border(TableBorder.Simple).AddColumns("number", "at", "consumer", "subject", "attempts", "error");
        foreach (DeadLetter letter in letters)
        {
            string error = letter.Error.Length > 100 ? letter.Error[..100] + "…" : letter.Error;
            table.AddRow([.. ((string[])[letter.Seq.ToString(CultureInfo.InvariantCulture), letter.At.ToString("u", CultureInfo.InvariantCulture), letter.Consumer, letter.Event.Subject, letter.Attempts.ToString(CultureInfo.InvariantCulture), error]).Select(Markup.Escape)]);
        }
        AnsiConsole.Write(table);
    }
}
